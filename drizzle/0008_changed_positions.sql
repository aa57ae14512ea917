ALTER TABLE `positions` ADD `changed_cursor` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `room_heads` ADD `positions_cursor` integer DEFAULT 0 NOT NULL;