ALTER TABLE `api_keys` ADD `last_used_at` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `old_prefix` text;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `old_hash` blob;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `old_until` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_by_old_prefix` ON `api_keys` (`old_prefix`) WHERE old_prefix IS NOT NULL;