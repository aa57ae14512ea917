CREATE TABLE `audit` (
	`entry` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`created_at` integer NOT NULL,
	`credential` text NOT NULL,
	`action` text NOT NULL,
	`request_id` text NOT NULL,
	`plan` integer,
	`tenant` integer,
	`details` text,
	`details_hash` blob NOT NULL,
	`hash` blob NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `audit_by_tenant` ON `audit` (`tenant`,`entry`) WHERE tenant IS NOT NULL;--> statement-breakpoint
CREATE INDEX `audit_by_plan` ON `audit` (`plan`,`entry`) WHERE plan IS NOT NULL;--> statement-breakpoint
CREATE TABLE `management_keys` (
	`key` text PRIMARY KEY NOT NULL,
	`plan` integer NOT NULL,
	`hash` blob NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`plan`) REFERENCES `plans`(`plan`) ON UPDATE no action ON DELETE no action
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `management_keys_by_plan` ON `management_keys` (`plan`,`key`);--> statement-breakpoint
CREATE TABLE `plans` (
	`plan` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`plan_id` text NOT NULL,
	`name` text NOT NULL,
	`quotas` text NOT NULL,
	`features` text NOT NULL,
	`settings` text NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `plans_plan_id_unique` ON `plans` (`plan_id`);--> statement-breakpoint
CREATE TABLE `stored_answers` (
	`tenant` integer NOT NULL,
	`key_hash` blob NOT NULL,
	`request_hash` blob NOT NULL,
	`answer` blob NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `key_hash`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `stored_answers_by_age` ON `stored_answers` (`tenant`,`created_at`);--> statement-breakpoint
ALTER TABLE `tenants` ADD `plan` integer REFERENCES plans(plan);--> statement-breakpoint
ALTER TABLE `tenants` ADD `version` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
CREATE INDEX `tenants_by_plan` ON `tenants` (`plan`,`tenant`) WHERE plan IS NOT NULL;--> statement-breakpoint
CREATE TRIGGER `audit_is_kept` BEFORE DELETE ON `audit`
BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;
--> statement-breakpoint
CREATE TRIGGER `audit_is_unchanged` BEFORE UPDATE ON `audit`
WHEN NOT (
	NEW.details IS NULL AND NEW.tenant IS NULL AND NEW.entry IS OLD.entry
	AND NEW.created_at IS OLD.created_at AND NEW.credential IS OLD.credential
	AND NEW.action IS OLD.action AND NEW.request_id IS OLD.request_id AND NEW.plan IS OLD.plan
	AND NEW.details_hash IS OLD.details_hash AND NEW.hash IS OLD.hash
)
BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;
