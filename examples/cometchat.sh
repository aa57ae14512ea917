#!/usr/bin/env bash
# What CometChat's page "Multi-Tenancy" says that App Management does, as commands. Its apps are tenants here,
# its base app is a plan, and its page shows no command but two headers, `key` and `secret`.
#
#   examples/cometchat.sh                              starts ./chatapi on port 8080, and stops it
#   PORT=9000 examples/cometchat.sh                    the same on another port
#   BASE=http://host:8080 MASTER_API_KEY=… examples/cometchat.sh       asks a server that is running
#
# docs/management.md says what each is for, and what is left to a later version.
source "$(dirname "${BASH_SOURCE[0]}")/guide.sh"

begin

json='Content-Type: application/json'

# --- 1. A base plan, whose quotas all apps draw on together --------------------------------------
curl -X POST "$BASE/admin/plans" -H "X-Master-Key: $MASTER_API_KEY" -H "$json" \
  -d '{"name": "Schools", "quotas": {"monthly_active_users": 5000, "messages_per_month": 1000000}}'
expect plan_id 'plan_[0-9a-z]{26}'
plan_id=$(field plan_id)

# --- App Management credentials: the headers of the page -----------------------------------------
curl -X POST "$BASE/admin/plans/$plan_id/management-keys" -H "X-Master-Key: $MASTER_API_KEY"
expect key 'mk_[0-9A-Za-z]{10}'
means YOUR_KEY "$(field key)"
means YOUR_SECRET "$(field secret)"

# --- Create and configure new apps ----------------------------------------------------------------
curl -X POST "$BASE/admin/tenants" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET" -H "$json" \
  -d '{"name": "Hill Street School", "settings": {"from_name": "Hill Street"}}'
expect plan_id "$plan_id"
hill_id=$(field tenant_id)
hill_key=$(field api_key)
curl -X POST "$BASE/admin/tenants" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET" -H "$json" \
  -d '{"name": "Lake View School"}'
lake_id=$(field tenant_id)
lake_key=$(field api_key)
curl -X PATCH "$BASE/admin/tenants/$lake_id" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET" -H "$json" \
  -d '{"domain": "lake.example", "allowed_origins": ["https://chat.lake.example"]}'
expect domain 'lake.example'
curl "$BASE/admin/tenants" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET"
grep -q "$hill_id" <<<"$answer" && grep -q "$lake_id" <<<"$answer" || fail 'an app is missing'

# --- Configure webhooks (where to; calling them is left to a later version) -----------------------
curl -X PATCH "$BASE/admin/tenants/$lake_id" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET" -H "$json" \
  -d '{"webhook_url": "https://hooks.lake.example/chat"}'
expect webhook_url 'https://hooks.lake.example/chat'

# --- Enable and disable extensions: features of the plan, which all its apps inherit --------------
curl -X PATCH "$BASE/admin/plans/$plan_id" -H "X-Master-Key: $MASTER_API_KEY" -H "$json" \
  -d '{"features": {"typing": false, "polls": true}}'
grep -q '"typing":false' <<<"$answer" || fail 'the feature is not off'

# --- 3. Usage is pooled ---------------------------------------------------------------------------
for key in "$hill_key" "$lake_key"; do
	curl -X POST "$BASE/rooms" -H "X-API-Key: $key" -H "$json" -d '{"type": "group", "name": "Staff room"}'
	curl -X POST "$BASE/rooms/$(field room_id)/messages" -H "X-API-Key: $key" -H "$json" \
	  -d '{"content": "Welcome"}'
done
curl "$BASE/admin/plans/$plan_id/usage" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET"
expect messages_sent '2'

# --- Isolated: one school does not see the other, nor these credentials another plan's apps -------
curl "$BASE/messages" -H "X-API-Key: $hill_key"
expect content 'Welcome'
[ "$(grep -o '"message_id"' <<<"$answer" | wc -l)" -eq 1 ] || fail 'an app sees what is not its own'
curl -X POST "$BASE/admin/tenants" -H "X-Master-Key: $MASTER_API_KEY" -H "$json" -d '{"name": "Elsewhere"}'
curl "$BASE/admin/tenants/$(field tenant_id)" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET"
expect code 'NOT_FOUND'

# --- And away again: restorable for thirty days ----------------------------------------------------
curl -X DELETE "$BASE/admin/tenants/$lake_id" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET"
expect status 'deleting'
curl -X POST "$BASE/admin/tenants/$lake_id/restore" -H "key: YOUR_KEY" -H "secret: YOUR_SECRET"
expect status 'active'

finish
