CREATE TABLE `ended_memberships` (
	`tenant` integer NOT NULL,
	`user_id` text NOT NULL,
	`left_cursor` integer NOT NULL,
	`room` integer NOT NULL,
	`joined_cursor` integer NOT NULL,
	PRIMARY KEY(`tenant`, `user_id`, `left_cursor`, `room`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `ended_memberships_by_room` ON `ended_memberships` (`tenant`,`room`,`user_id`);--> statement-breakpoint
INSERT INTO `ended_memberships` (`tenant`, `user_id`, `left_cursor`, `room`, `joined_cursor`) SELECT `tenant`, `user_id`, `left_cursor`, `room`, `joined_cursor` FROM `memberships` WHERE `left_cursor` IS NOT NULL;--> statement-breakpoint
DELETE FROM `positions` WHERE EXISTS (SELECT 1 FROM `memberships` m WHERE m.`tenant` = `positions`.`tenant` AND m.`room` = `positions`.`room` AND m.`user_id` = `positions`.`user_id` AND m.`left_cursor` IS NOT NULL);--> statement-breakpoint
DELETE FROM `memberships` WHERE `left_cursor` IS NOT NULL;--> statement-breakpoint
DROP INDEX `memberships_ended`;--> statement-breakpoint
DROP INDEX `memberships_by_user`;--> statement-breakpoint
CREATE INDEX `memberships_by_user` ON `memberships` (`tenant`,`user_id`,`room`);--> statement-breakpoint
ALTER TABLE `memberships` DROP COLUMN `left_cursor`;
