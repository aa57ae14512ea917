CREATE TABLE `presence_heads` (
	`tenant` integer PRIMARY KEY NOT NULL,
	`alive_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `presences` (
	`tenant` integer NOT NULL,
	`user_id` text NOT NULL,
	`last_seen_at` integer NOT NULL,
	`is_online` integer NOT NULL,
	PRIMARY KEY(`tenant`, `user_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `presences_online` ON `presences` (`tenant`,`user_id`) WHERE is_online = 1;
