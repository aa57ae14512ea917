CREATE TABLE `dead_letters` (
	`tenant` integer NOT NULL,
	`cursor` integer NOT NULL,
	`user_id` text NOT NULL,
	`notification_id` text NOT NULL,
	`topic` text NOT NULL,
	`attempts` integer NOT NULL,
	`last_attempt_at` integer,
	`failed_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `cursor`, `user_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `deliveries` (
	`tenant` integer NOT NULL,
	`user_id` text NOT NULL,
	`cursor` integer NOT NULL,
	`attempts` integer NOT NULL,
	`last_attempt_at` integer,
	PRIMARY KEY(`tenant`, `user_id`, `cursor`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `deliveries_by_cursor` ON `deliveries` (`tenant`,`cursor`);--> statement-breakpoint
CREATE TABLE `notification_targets` (
	`tenant` integer NOT NULL,
	`stream` text NOT NULL,
	`cursor` integer NOT NULL,
	PRIMARY KEY(`tenant`, `stream`, `cursor`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `notification_targets_by_cursor` ON `notification_targets` (`tenant`,`cursor`);--> statement-breakpoint
CREATE TABLE `notifications` (
	`tenant` integer NOT NULL,
	`cursor` integer NOT NULL,
	`data` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `cursor`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `subscriptions` (
	`tenant` integer NOT NULL,
	`user_id` text NOT NULL,
	`topic` text NOT NULL,
	`from_cursor` integer NOT NULL,
	`until_cursor` integer,
	`subscription_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `user_id`, `topic`, `from_cursor`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `subscriptions_lasting` ON `subscriptions` (`tenant`,`user_id`,`topic`) WHERE until_cursor IS NULL;--> statement-breakpoint
CREATE INDEX `subscriptions_ended` ON `subscriptions` (`tenant`,`until_cursor`) WHERE until_cursor IS NOT NULL;