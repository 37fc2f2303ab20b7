#pragma once
// The commands of a transaction as they are written to a server. Pure.

#include <string>
#include <string_view>

#include "delivery/transaction.h"
#include "wire/smtp_reply.h"

namespace muster::delivery {

/// Whether a value may stand in a command: no control characters; parameters no spaces either.
bool is_safe_address(std::string_view address);
bool is_safe_parameter(std::string_view value);

/// `MAIL FROM:<…>` with SIZE, BODY, SMTPUTF8, RET and ENVID as far as the server knows them.
void append_mail(std::string& out, const Transaction& transaction, std::uint64_t size,
                 const wire::smtp::ServerExtensions& server);
/// `RCPT TO:<…>` with NOTIFY, ORCPT and XRCPTFORWARD as far as the server knows them.
void append_rcpt(std::string& out, const Recipient& recipient,
                 const wire::smtp::ServerExtensions& server);

/// XCLIENT with every attribute that the server takes and the facts have, in as many commands as
/// 512 octets each allow; returns how many. None when the server takes no ADDR. An attribute that
/// is too long for a command is left out; what may not stand in a name becomes '?'.
unsigned append_xclient(std::string& out, const ClientFacts& facts,
                        const wire::smtp::ServerExtensions& server);
/// Servers keep attributes that a later XCLIENT does not mention: false when `before` told more
/// than `now` would.
bool can_replace(const ClientFacts& before, const ClientFacts& now);

}  // namespace muster::delivery
