/** What a tenant may set for itself, or inherit from its plan: one schema, and the defaults. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { NameField, nullable, oneOf } from './fields.ts';

/** An e-mail address. */
export const AddressField = Type.String({
	minLength: 3,
	maxLength: 254,
	pattern: "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63})*$",
	error: 'Must be an e-mail address, such as help@acme.com',
});

const HistoryField = oneOf('history', ['all', 'joined']);

const DESCRIPTIONS = {
	from_name: 'The sender of e-mails. Default: the name of the tenant',
	reply_to: 'Where answers to e-mails go. Default: nowhere',
	history:
		'What a member who joins later may read: all of the room, or what was said since it joined',
	live_receipts:
		'Whether rooms are told live who received and read what, and who types; else only the own sockets of each are',
} as const;

const described = <Schema extends TSchema>(schema: Schema, name: keyof typeof DESCRIPTIONS) =>
	({ ...schema, description: DESCRIPTIONS[name] }) as Schema;

/** Every setting, with its value: what is in effect. */
export const EffectiveSettingsField = Type.Object({
	from_name: described(nullable(NameField), 'from_name'),
	reply_to: described(nullable(AddressField), 'reply_to'),
	history: described(HistoryField, 'history'),
	live_receipts: described(Type.Boolean(), 'live_receipts'),
});

export type TenantSettings = Static<typeof EffectiveSettingsField>;

/** Those that were set. */
export const SettingsField = Type.Object(
	{
		from_name: Type.Optional(described(NameField, 'from_name')),
		reply_to: Type.Optional(described(AddressField, 'reply_to')),
		history: Type.Optional(described(HistoryField, 'history')),
		live_receipts: Type.Optional(described(Type.Boolean(), 'live_receipts')),
	},
	{ additionalProperties: false },
);

export type OwnSettings = Static<typeof SettingsField>;

/** A merge patch of them: null takes one back, so that it is inherited again. */
export const SettingsPatchField = Type.Object(
	{
		from_name: Type.Optional(nullable(described(NameField, 'from_name'))),
		reply_to: Type.Optional(nullable(described(AddressField, 'reply_to'))),
		history: Type.Optional(nullable(described(HistoryField, 'history'))),
		live_receipts: Type.Optional(nullable(described(Type.Boolean(), 'live_receipts'))),
	},
	{
		additionalProperties: false,
		description: 'null takes a setting back: it is inherited again, from the plan or the default',
	},
);

/** What holds where neither the tenant nor its plan says otherwise. */
export const DEFAULT_SETTINGS: TenantSettings = {
	from_name: null,
	reply_to: null,
	history: 'all',
	live_receipts: true,
};

/** What is in effect: the tenant's own before the plan's before the defaults. */
export const settingsInEffect = (own: OwnSettings, ofPlan: OwnSettings): TenantSettings => ({
	...DEFAULT_SETTINGS,
	...ofPlan,
	...own,
});
