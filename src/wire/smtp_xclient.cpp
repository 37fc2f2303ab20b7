// XCLIENT as Postfix has it (XCLIENT_README): a peer we trust says who its client is.
#include <algorithm>
#include <array>

#include "wire/ascii.h"
#include "wire/smtp.h"
#include "wire/utf8.h"
#include "wire/xtext.h"

namespace muster::wire::smtp {
namespace {

constexpr Refusal kBadXclient{501, "5.5.4", "Bad XCLIENT attribute"};
constexpr std::string_view kSix = "IPV6:";

bool read_value(std::string_view text, std::string& value) {
    value = text;
    return text.size() <= kMaxDomain && std::ranges::all_of(text, is_graphic);
}
bool read_login(std::string_view text, std::string& value) {
    value = text;
    return is_utf8(text) && std::ranges::all_of(text, [](char c) {
               return is_graphic(c) || static_cast<unsigned char>(c) > 0x7f;
           });
}
bool read_value(std::string_view text, IpAddress& value) {
    bool six = starts_folded(text, kSix);
    if (six) text.remove_prefix(kSix.size());
    auto address = IpAddress::parse(text);
    if (!address || (six && !text.contains(':'))) return false;
    value = *address;
    return true;
}
bool read_value(std::string_view text, std::uint16_t& value) {
    auto number = parse_number(text, UINT16_MAX);
    value = static_cast<std::uint16_t>(number.value_or(0));
    return number.has_value();
}
bool read_value(std::string_view text, ClientProtocol& value) {
    bool extended = equal_folded(text, "ESMTP");
    value = extended ? ClientProtocol::Esmtp : ClientProtocol::Smtp;
    return extended || equal_folded(text, "SMTP");
}

template <typename T>
bool read_attribute(std::string_view text, Attribute<T>& attribute,
                    bool (*read)(std::string_view, T&) = read_value) {
    if (attribute.said != Said::Nothing) return false;
    auto decoded = xtext_decode(text, kMaxXclient);
    if (!decoded || decoded->empty()) return false;
    attribute.said = Said::Value;
    if (equal_folded(*decoded, "[UNAVAILABLE]")) attribute.said = Said::Unavailable;
    if (equal_folded(*decoded, "[TEMPUNAVAIL]")) attribute.said = Said::TemporarilyUnavailable;
    return !attribute.given() || read(*decoded, attribute.value);
}

struct Row {
    std::string_view name;
    bool (*read)(std::string_view text, Xclient& out);
};

template <auto Member>
bool read_into(std::string_view text, Xclient& out) {
    return read_attribute(text, out.*Member);
}
bool read_login_into(std::string_view text, Xclient& out) {
    return read_attribute(text, out.login, read_login);
}

constexpr std::array kAttributes{
    Row{"NAME", read_into<&Xclient::name>},
    Row{"ADDR", read_into<&Xclient::address>},
    Row{"PORT", read_into<&Xclient::port>},
    Row{"PROTO", read_into<&Xclient::protocol>},
    Row{"HELO", read_into<&Xclient::helo>},
    Row{"LOGIN", read_login_into},
    Row{"DESTADDR", read_into<&Xclient::destination_address>},
    Row{"DESTPORT", read_into<&Xclient::destination_port>},
};

}  // namespace

Parsed<Xclient> parse_xclient(std::string_view rest) {
    if (rest.size() > kMaxXclient) return std::unexpected(kBadXclient);
    Xclient xclient;
    for (auto value = take_word(rest); !value.empty(); value = take_word(rest)) {
        auto name = take_until(value, '=');
        auto row = std::ranges::find_if(
            kAttributes, [&](const Row& known) { return equal_folded(known.name, name); });
        if (row == kAttributes.end() || !row->read(value, xclient))
            return std::unexpected(kBadXclient);
    }
    return xclient;
}

}  // namespace muster::wire::smtp
