#include "wire/socketmap.h"

#include <algorithm>

#include "wire/ascii.h"

namespace muster::wire::socketmap {
namespace {

std::string_view word(Status status) {
    switch (status) {
        case Status::Ok: return "OK ";
        case Status::NotFound: return "NOTFOUND ";
        case Status::Temporary: return "TEMP ";
        case Status::Timeout: return "TIMEOUT ";
        case Status::Permanent: break;
    }
    return "PERM ";
}

}  // namespace

Result<Parsed> parse_netstring(std::string_view bytes, std::size_t limit) {
    const auto digits = std::to_string(limit).size();
    auto colon = bytes.substr(0, digits + 1).find_first_not_of("0123456789");
    if (colon == std::string_view::npos) {
        if (bytes.size() > digits) return fail(ErrorKind::Limit, "netstring too long");
        if (bytes.size() > 1 && bytes.front() == '0')
            return fail(ErrorKind::Syntax, "invalid netstring");
        return Parsed(NeedMore{bytes.size() + 1});
    }
    auto number = bytes.substr(0, colon);
    auto size = parse_number(number);
    if (!size || bytes[colon] != ':' || (number.size() > 1 && number.front() == '0'))
        return fail(ErrorKind::Syntax, "invalid netstring");
    if (*size > limit) return fail(ErrorKind::Limit, "netstring too long");
    auto whole = colon + 1 + *size + 1;
    if (bytes.size() < whole) return Parsed(NeedMore{whole});
    if (bytes[whole - 1] != ',') return fail(ErrorKind::Syntax, "invalid netstring");
    return Parsed(Netstring{.text = bytes.substr(colon + 1, *size), .size = whole});
}

Result<Request> parse_request(std::string_view text) {
    auto space = text.find(' ');
    if (space == 0 || space == std::string_view::npos || !fits_a_line(text))
        return fail(ErrorKind::Syntax, "invalid socketmap request");
    return Request{.name = text.substr(0, space), .key = text.substr(space + 1)};
}

void append_reply(std::string& out, Status status, std::string_view text) {
    if (word(status).size() + text.size() > kMaxReply) {
        status = Status::Permanent;
        text = "answer too long";
    }
    out += std::to_string(word(status).size() + text.size());
    out.append(":").append(word(status));
    std::ranges::transform(text, std::back_inserter(out), [](char c) {
        return static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
    });
    out += ',';
}

}  // namespace muster::wire::socketmap
