/**
 * The first import of the entry. Elysia asks for NODE_ENV as it is loaded and, without it, tells
 * clients its schemas; the compiler replaces a plain `process.env.NODE_ENV`, so the name is kept apart.
 */
const name = 'NODE_ENV';
Bun.env[name] ??= 'production';
