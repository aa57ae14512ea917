CREATE TABLE `quota_warnings` (
	`tenant` integer NOT NULL,
	`month` integer NOT NULL,
	`quota` text NOT NULL,
	`scope` text NOT NULL,
	`percent` integer NOT NULL,
	PRIMARY KEY(`tenant`, `month`, `quota`, `scope`)
) STRICT, WITHOUT ROWID;
