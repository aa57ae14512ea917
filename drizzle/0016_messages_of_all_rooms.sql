CREATE INDEX `audit_by_action` ON `audit` (`action`,`entry`);--> statement-breakpoint
CREATE INDEX `messages_by_cursor` ON `messages` (`tenant`,`cursor`);