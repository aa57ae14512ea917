CREATE TABLE `user_tokens` (
	`tenant` integer NOT NULL,
	`prefix` text NOT NULL,
	`user_id` text NOT NULL,
	`key_id` text NOT NULL,
	`hash` blob NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `prefix`),
	FOREIGN KEY (`tenant`) REFERENCES `tenants`(`tenant`) ON UPDATE no action ON DELETE no action
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `user_tokens_prefix_unique` ON `user_tokens` (`prefix`);--> statement-breakpoint
CREATE INDEX `user_tokens_by_user` ON `user_tokens` (`tenant`,`user_id`,`expires_at`);--> statement-breakpoint
CREATE INDEX `user_tokens_by_end` ON `user_tokens` (`tenant`,`expires_at`);--> statement-breakpoint
CREATE TABLE `users` (
	`tenant` integer NOT NULL,
	`user_id` text NOT NULL,
	`name` text,
	`avatar_url` text,
	`metadata` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deactivated_at` integer,
	PRIMARY KEY(`tenant`, `user_id`),
	FOREIGN KEY (`tenant`) REFERENCES `tenants`(`tenant`) ON UPDATE no action ON DELETE no action
) STRICT, WITHOUT ROWID;
