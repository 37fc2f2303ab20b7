#include "net/http_message.h"

#include <boost/beast/http/status.hpp>

#include "base/base64.h"

namespace muster::net {
namespace {

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
        if (key == name) return value;
    }
    return {};
}

std::string_view http_reason(int status) {
    const auto reason =
        boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    return {reason.data(), reason.size()};
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        const std::size_t literal = std::min(text.find('%'), text.size());
        plain += text.substr(0, literal);
        text.remove_prefix(literal);
        if (text.empty()) break;
        const auto byte = hex_decode(text.substr(1, 2), 1);
        if (!byte || byte->size() != 1) return std::nullopt;
        plain += *byte;
        text.remove_prefix(3);
    }
    if (std::ranges::any_of(plain, is_control)) return std::nullopt;
    return plain;
}

std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        if (is_unreserved(c)) {
            encoded += c;
        } else {
            encoded += '%';
            encoded += hex_encode({&c, 1});
        }
    }
    return encoded;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view field = query.substr(0, end);
        const std::size_t equals = std::min(field.find('='), field.size());
        if (field.substr(0, equals) == name) {
            return percent_decoded(equals == field.size() ? "" : field.substr(equals + 1));
        }
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return std::nullopt;
}

}  // namespace muster::net
