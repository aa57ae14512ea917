/** The server that a tenant's e-mails are to go through, as it is written down and shown. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from './fields.ts';
import { AddressField } from './tenant-settings.ts';

const HostField = Type.String({
	minLength: 1,
	maxLength: 253,
	pattern: '^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$',
	error: 'Must be the name or address of a host, such as smtp.acme.com',
});
const PortField = Type.Integer({ minimum: 1, maximum: 65_535 });
const PRINTABLE = '^[^\\u0000-\\u001f\\u007f]+$';
const UserField = Type.String({
	minLength: 1,
	maxLength: 320,
	pattern: PRINTABLE,
	error: 'Must be 1 to 320 characters without control characters',
});
const PasswordField = Type.String({
	minLength: 1,
	maxLength: 1024,
	pattern: PRINTABLE,
	error: 'Must be 1 to 1024 characters without control characters',
	description: 'Stored encrypted, and never shown again',
});

/** As it is changed: what is left out stays; the first time host, port, user and pass are needed. */
export const SmtpPatchField = Type.Object(
	{
		host: Type.Optional(HostField),
		port: Type.Optional(PortField),
		user: Type.Optional(UserField),
		pass: Type.Optional(PasswordField),
		from: Type.Optional(nullable(AddressField)),
		secure: Type.Optional(nullable(Type.Boolean())),
	},
	{
		additionalProperties: false,
		description:
			'Kept for a later version, which sends e-mails. Another host or user needs `pass` anew',
	},
);

export type SmtpPatch = Static<typeof SmtpPatchField>;

/** As it is shown: without the password. */
export const SmtpField = Type.Object({
	host: HostField,
	port: PortField,
	user: UserField,
	from: Type.Optional(AddressField),
	secure: Type.Optional(Type.Boolean()),
	password: oneOf('password', ['set', 'unreadable']),
});

/** As it is stored, but for the password. */
export type StoredSmtp = Omit<Static<typeof SmtpField>, 'password'>;
