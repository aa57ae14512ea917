#!/usr/bin/env bash
# The guide "Multi-Tenancy" of SelfMX, with messages in the place of its e-mails.
#
#   examples/selfmx.sh                                 starts ./chatapi on port 8080, and stops it
#   PORT=9000 examples/selfmx.sh                       the same on another port
#   BASE=http://host:8080 MASTER_API_KEY=… examples/selfmx.sh          asks a server that is running
#
# The commands between the rulers are those of the guide, letter for letter but for that one word. The
# server has no HTTPS of its own; its address stands for https://api.yourdomain.com.
source "$(dirname "${BASH_SOURCE[0]}")/guide.sh"

begin
means https://api.yourdomain.com "$BASE"
means ADMIN_API_KEY "$MASTER_API_KEY"

# --- Create a Tenant ----------------------------------------------------------------------------
curl -X POST https://api.yourdomain.com/v1/tenants \
  -H "Authorization: Bearer ADMIN_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Acme Corp",
    "domain": "acme.com",
    "settings": {
      "from_name": "Acme",
      "reply_to": "support@acme.com"
    }
  }'
# ------------------------------------------------------------------------------------------------
expect id 'tenant_[0-9a-z]{26}'
expect name 'Acme Corp'
expect domain 'acme.com'
expect from_name 'Acme'
expect reply_to 'support@acme.com'
expect created_at '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z'
tenant_id=$(field id)
means tenant_abc123 "$tenant_id"

# --- Create Tenant API Key ----------------------------------------------------------------------
curl -X POST https://api.yourdomain.com/v1/tenants/tenant_abc123/api-keys \
  -H "Authorization: Bearer ADMIN_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Production",
    "permissions": ["send", "templates:read"]
  }'
# ------------------------------------------------------------------------------------------------
expect name 'Production'
expect api_key 'sk_[0-9A-Za-z]{45}'
key=$(field api_key)

# A message to look for: a key with `send` may write, and one with `messages:read` may read.
curl -X POST https://api.yourdomain.com/v1/tenants/tenant_abc123/api-keys \
  -H "Authorization: Bearer ADMIN_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"name": "Reader", "permissions": ["rooms:write", "messages:read"]}'
means TENANT_API_KEY "$(field api_key)"
curl -X POST https://api.yourdomain.com/v1/rooms \
  -H "Authorization: Bearer TENANT_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"type": "group", "name": "Support", "members": ["alice", "bob"]}'
room_id=$(field room_id)
curl -X POST "https://api.yourdomain.com/v1/rooms/$room_id/messages" \
  -H "Authorization: Bearer $key" -H "X-User-Id: alice" \
  -H "Content-Type: application/json" \
  -d '{"content": "Hello from Acme!"}'
expect content 'Hello from Acme!'

# --- Tenant-Scoped API Requests -----------------------------------------------------------------
# Using tenant API key - only sees Acme's messages
curl https://api.yourdomain.com/v1/messages \
  -H "Authorization: Bearer TENANT_API_KEY"
# ------------------------------------------------------------------------------------------------
expect content 'Hello from Acme!'

# --- Admin Access -------------------------------------------------------------------------------
# List all tenants
curl https://api.yourdomain.com/v1/tenants \
  -H "Authorization: Bearer ADMIN_API_KEY"
# ------------------------------------------------------------------------------------------------
expect id "$tenant_id"

# --- Access specific tenant data ----------------------------------------------------------------
curl https://api.yourdomain.com/v1/tenants/tenant_abc123/messages \
  -H "Authorization: Bearer ADMIN_API_KEY"
# ------------------------------------------------------------------------------------------------
expect content 'Hello from Acme!'

# --- Per-Tenant SMTP ----------------------------------------------------------------------------
curl -X PUT https://api.yourdomain.com/v1/tenants/tenant_abc123 \
  -H "Authorization: Bearer ADMIN_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "smtp": {
      "host": "smtp.acme.com",
      "port": 587,
      "user": "noreply@acme.com",
      "pass": "tenant-smtp-password"
    }
  }'
# ------------------------------------------------------------------------------------------------
expect host 'smtp.acme.com'
expect port '587'
! grep -q tenant-smtp-password <<<"$answer" || fail 'the answer holds the password'

# --- Usage Tracking -----------------------------------------------------------------------------
curl https://api.yourdomain.com/v1/tenants/tenant_abc123/usage \
  -H "Authorization: Bearer ADMIN_API_KEY"
# ------------------------------------------------------------------------------------------------
expect tenant_id "$tenant_id"
expect period '[0-9]{4}-[0-9]{2}'
expect messages_sent '1'
expect emails_sent '0'
expect emails_delivered '0'
expect emails_bounced '0'
expect api_requests '[1-9][0-9]*'

# --- Rate Limits --------------------------------------------------------------------------------
curl -X PUT https://api.yourdomain.com/v1/tenants/tenant_abc123 \
  -H "Authorization: Bearer ADMIN_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "rate_limit": {
      "requests_per_minute": 200,
      "messages_per_day": 10000
    }
  }'
# ------------------------------------------------------------------------------------------------
expect requests_per_minute '200'
expect messages_per_day '10000'
expect name 'Acme Corp'
expect host 'smtp.acme.com'

finish
