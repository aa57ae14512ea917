#!/usr/bin/env bash
# The guide "Setting Up Tenants" of ChatAPI, run from its first command to its last.
#
#   examples/chatapi.sh                                starts ./chatapi on port 8080, and stops it
#   PORT=9000 examples/chatapi.sh                      the same on another port
#   BASE=http://host:8080 MASTER_API_KEY=… examples/chatapi.sh         asks a server that is running
#
# The commands between the rulers are those of the guide, letter for letter; its `./bin/chatapi` is this
# repository's ./chatapi.
source "$(dirname "${BASH_SOURCE[0]}")/guide.sh"

if [ -z "$is_running" ]; then
	# --- 1. Generate a Master API Key -----------------------------------------------------------
	export MASTER_API_KEY=$(openssl rand -hex 32)
fi
# --- 2. Start ChatAPI ---------------------------------------------------------------------------
# ./bin/chatapi
begin
means http://localhost:8080 "$BASE"
means your-master-key-here "$MASTER_API_KEY"
means your-master-key "$MASTER_API_KEY"

# --- 3. Create a Tenant -------------------------------------------------------------------------
curl -X POST http://localhost:8080/admin/tenants \
  -H "X-Master-Key: your-master-key-here" \
  -H "Content-Type: application/json" \
  -d '{"name": "MyCompany"}'
# ------------------------------------------------------------------------------------------------
expect tenant_id 'tenant_[0-9a-z]{26}'
expect api_key 'sk_[0-9A-Za-z]{45}'
expect name 'MyCompany'
expect created_at '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z'
tenant_id=$(field tenant_id)

# --- 4. Store the API Key Securely --------------------------------------------------------------
export CHATAPI_KEY=$(field api_key)

# --- Create a Test Room -------------------------------------------------------------------------
curl -X POST http://localhost:8080/rooms \
  -H "X-API-Key: $CHATAPI_KEY" \
  -H "X-User-Id: testuser" \
  -H "Content-Type: application/json" \
  -d '{"type": "dm", "members": ["alice", "bob"]}'
# ------------------------------------------------------------------------------------------------
expect room_id 'room_[0-9a-z]{26}'
expect type 'dm'
expect unique_key 'dm:alice:bob'
room_id=$(field room_id)
means room_abc123 "$room_id"

# --- Send a Test Message ------------------------------------------------------------------------
curl -X POST http://localhost:8080/rooms/room_abc123/messages \
  -H "X-API-Key: $CHATAPI_KEY" \
  -H "X-User-Id: alice" \
  -H "Content-Type: application/json" \
  -d '{"content": "Hello from my tenant!"}'
# ------------------------------------------------------------------------------------------------
expect message_id 'msg_[0-9a-z]{26}'
expect room_id "$room_id"
expect seq '1'
expect sender_id 'alice'
expect content 'Hello from my tenant!'

# --- Creating Additional Tenants ----------------------------------------------------------------
# Tenant for different organization
curl -X POST http://localhost:8080/admin/tenants \
  -H "X-Master-Key: your-master-key" \
  -H "Content-Type: application/json" \
  -d '{"name": "AnotherCompany"}'
# ------------------------------------------------------------------------------------------------
expect name 'AnotherCompany'
another_key=$(field api_key)

# --- Tenant for staging environment -------------------------------------------------------------
curl -X POST http://localhost:8080/admin/tenants \
  -H "X-Master-Key: your-master-key" \
  -H "Content-Type: application/json" \
  -d '{"name": "StagingEnvironment"}'
# ------------------------------------------------------------------------------------------------
expect name 'StagingEnvironment'

# Tenant Isolation: another tenant's key does not reach the room.
curl http://localhost:8080/rooms/room_abc123/messages \
  -H "X-API-Key: $another_key" -H "X-User-Id: alice"
expect code 'NOT_FOUND'

# Common Issues: "Unauthorized" when creating tenant; "Invalid API key" in tenant operations.
curl -X POST http://localhost:8080/admin/tenants \
  -H "X-Master-Key: not-the-master-key" \
  -H "Content-Type: application/json" \
  -d '{"name": "MyCompany"}'
expect message 'Unauthorized'
curl http://localhost:8080/rooms -H "X-API-Key: your-master-key" -H "X-User-Id: alice"
expect message 'Invalid API key'

if [ -z "$is_running" ]; then
	# --- Environment Variables ------------------------------------------------------------------
	export DEFAULT_RATE_LIMIT="1000"  # Higher for production
	# --- Debugging ------------------------------------------------------------------------------
	export LOG_LEVEL="debug"
	# ./bin/chatapi
	start debug
	# --------------------------------------------------------------------------------------------
	curl http://localhost:8080/rooms/room_abc123/messages \
	  -H "X-API-Key: $CHATAPI_KEY" -H "X-User-Id: bob"
	expect content 'Hello from my tenant!'
	curl http://localhost:8080/rooms -H "X-API-Key: sk_mistyped" -H "X-User-Id: alice"
	expect message 'Invalid API key'
	grep '"msg":"Tenant validated"' "$log" | grep '"level":"debug"' | grep -q "\"tenant_id\":\"$tenant_id\"" ||
		fail 'the log does not say "Tenant validated"'
	grep '"msg":"Invalid API key"' "$log" | grep '"level":"warn"' | grep -q '"error":"tenant not found"' ||
		fail 'the log does not say "Invalid API key"'
	! grep -q "$CHATAPI_KEY" "$log" || fail 'the log holds a key'
fi

finish
