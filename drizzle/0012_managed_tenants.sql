ALTER TABLE `tenants` ADD `settings` text;--> statement-breakpoint
ALTER TABLE `tenants` ADD `webhook_url` text;--> statement-breakpoint
ALTER TABLE `tenants` ADD `suspended_at` integer;--> statement-breakpoint
ALTER TABLE `tenants` ADD `purge_at` integer;--> statement-breakpoint
ALTER TABLE `tenants` ADD `smtp` text;--> statement-breakpoint
ALTER TABLE `tenants` ADD `smtp_secret` blob;--> statement-breakpoint
CREATE INDEX `tenants_due` ON `tenants` (`purge_at`) WHERE purge_at IS NOT NULL;--> statement-breakpoint
-- Any JSON until now, and without effect.
UPDATE `plans` SET `settings` = '{}';
