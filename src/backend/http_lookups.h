#pragma once
// The account authority over HTTP on loopback, for Dovecot 2.4's Lua scripts (dovecot_config_24).
// Not run with a 2.4 yet.

#include <string>

#include "backend/dict_session.h"
#include "net/http_server.h"

namespace muster::backend {

/// `GET /passdb?mechanism=&name=&resolved=`, `/userdb?name=`, `/token?id=&service=&name=`, with
/// `Authorization: Bearer SECRET`. Answers are lines `NAME=VALUE`; 404 for not found, 503 when
/// nobody can say. Quota is told by 2.4's name.
net::HttpResponse http_lookup(const net::HttpRequest& request, Authority& authority,
                              std::string_view secret);

}  // namespace muster::backend
