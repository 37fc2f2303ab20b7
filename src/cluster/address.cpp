#include "cluster/address.h"

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include <array>
#include <cstdlib>
#include <memory>

namespace muster::cluster {
namespace {

constexpr std::size_t kMaxLabel = 63;

bool is_ascii(std::string_view text) {
    for (const char c : text) {
        if (static_cast<unsigned char>(c) >= 0x80) return false;
    }
    return true;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

constexpr std::array<bool, 128> make_atext() {
    std::array<bool, 128> table{};
    for (std::size_t c = 'a'; c <= 'z'; ++c) table[c] = true;
    for (std::size_t c = 'A'; c <= 'Z'; ++c) table[c] = true;
    for (std::size_t c = '0'; c <= '9'; ++c) table[c] = true;
    for (const char c : std::string_view("!#$%&'*+-=?^_`{|}~.")) {
        table[static_cast<unsigned char>(c)] = true;
    }
    return table;
}
constexpr std::array<bool, 128> kAtextOrDot = make_atext();

/// The ASCII part of the grammar; bytes from 0x80 on are judged as UTF-8 elsewhere.
Result<> check_dot_string(std::string_view local) {
    if (local.empty()) return fail(ErrorKind::Syntax, "the part before @ is empty");
    if (local.size() > kMaxLocalPart) {
        return fail(ErrorKind::Limit, "the part before @ is longer than 64 bytes");
    }
    char previous = '.';
    for (const char c : local) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 && !kAtextOrDot[byte]) {
            return fail(ErrorKind::Syntax, "a character that an address may not hold");
        }
        if (c == '.' && previous == '.') {
            return fail(ErrorKind::Syntax, "a dot at the start or two in a row");
        }
        previous = c;
    }
    if (previous == '.') return fail(ErrorKind::Syntax, "a dot before @");
    return {};
}

struct Free {
    void operator()(std::uint8_t* memory) const { std::free(memory); }
};
using Utf8Buffer = std::unique_ptr<std::uint8_t, Free>;

const std::uint8_t* bytes(std::string_view text) {
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

/// Controls, every kind of space, and what is not seen or changes the direction of writing: two
/// names that look alike must not be two accounts.
bool is_forbidden(ucs4_t c) {
    if (c < 0x7f) return false;
    if (c <= 0xa0 || c == 0xad || c == 0x1680 || c == 0x3000 || c == 0xfeff) return true;
    if (c >= 0x2000 && c <= 0x200f) return true;
    if (c >= 0x2028 && c <= 0x202f) return true;
    if (c >= 0x205f && c <= 0x206f) return true;
    if (c >= 0xe000 && c <= 0xf8ff) return true;  // private use
    return (c & 0xfffe) == 0xfffe || (c >= 0xfff0 && c <= 0xfffd) || c >= 0xe0000;
}

Result<> check_utf8(std::string_view text) {
    if (u8_check(bytes(text), text.size()) != nullptr) {
        return fail(ErrorKind::Syntax, "not valid UTF-8");
    }
    const std::uint8_t* at = bytes(text);
    std::size_t left = text.size();
    while (left > 0) {
        ucs4_t c = 0;
        const int taken = u8_mbtouc(&c, at, left);
        if (is_forbidden(c)) return fail(ErrorKind::Syntax, "a character that cannot be seen");
        at += taken;
        left -= static_cast<std::size_t>(taken);
    }
    return {};
}

Result<std::string> normalise_utf8(std::string_view local, CasePolicy policy) {
    if (auto ok = check_utf8(local); !ok) return std::unexpected(ok.error());
    std::size_t size = 0;
    const Utf8Buffer composed(
        policy == CasePolicy::Fold
            ? u8_tolower(bytes(local), local.size(), nullptr, UNINORM_NFC, nullptr, &size)
            : u8_normalize(UNINORM_NFC, bytes(local), local.size(), nullptr, &size));
    if (!composed) return fail(ErrorKind::Syntax, "not a name in Unicode");
    std::string result(reinterpret_cast<const char*>(composed.get()), size);
    if (auto ok = check_dot_string(result); !ok) return std::unexpected(ok.error());
    return result;
}

Result<> check_labels(std::string_view domain) {
    if (domain.empty()) return fail(ErrorKind::Syntax, "the domain is empty");
    if (domain.size() > kMaxDomain) {
        return fail(ErrorKind::Limit, "the domain is longer than 255 bytes");
    }
    std::size_t label = 0;
    char previous = '.';
    for (const char c : domain) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '.' && c != '_') {
            return fail(ErrorKind::Syntax, "a character that a domain may not hold");
        }
        if ((c == '.' || c == '-') && previous == '.') {
            return fail(ErrorKind::Syntax, "a part of the domain is empty or starts with -");
        }
        if (c == '.' && previous == '-') {
            return fail(ErrorKind::Syntax, "a part of the domain ends with -");
        }
        label = c == '.' ? 0 : label + 1;
        if (label > kMaxLabel) {
            return fail(ErrorKind::Limit, "a part of the domain is longer than 63 bytes");
        }
        previous = c;
    }
    if (previous == '.' || previous == '-') {
        return fail(ErrorKind::Syntax, "the domain ends with . or -");
    }
    return {};
}

Result<std::string> to_a_labels(std::string_view text) {
    if (text.size() > 4 * kMaxDomain) {
        return fail(ErrorKind::Limit, "the domain is longer than 255 bytes");
    }
    if (text.find('\0') != text.npos) {
        return fail(ErrorKind::Syntax, "a character that a domain may not hold");
    }
    if (auto ok = check_utf8(text); !ok) return std::unexpected(ok.error());
    char* converted = nullptr;
    const int rc = idn2_to_ascii_8z(std::string(text).c_str(), &converted,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc != IDN2_OK) {
        return fail(ErrorKind::Syntax, "not an international domain name", idn2_strerror(rc));
    }
    std::string result(converted);
    idn2_free(converted);
    return result;
}

}  // namespace

Result<DomainName> parse_domain(std::string_view text) {
    if (text.size() > 1 && text.ends_with('.'))
        text.remove_suffix(1);  // "example.org." is absolute
    std::string name;
    if (is_ascii(text)) {
        if (text.size() > kMaxDomain) {
            return fail(ErrorKind::Limit, "the domain is longer than 255 bytes");
        }
        name = text;
    } else {
        auto converted = to_a_labels(text);
        if (!converted) return std::unexpected(converted.error());
        name = std::move(*converted);
    }
    for (char& c : name) c = lower(c);
    if (auto ok = check_labels(name); !ok) return std::unexpected(ok.error());
    return DomainName(std::move(name));
}

Result<std::string> normalise_local(std::string_view local, CasePolicy policy) {
    if (auto ok = check_dot_string(local); !ok) return std::unexpected(ok.error());
    if (!is_ascii(local)) return normalise_utf8(local, policy);
    std::string result(local);
    if (policy == CasePolicy::Fold) {
        for (char& c : result) c = lower(c);
    }
    return result;
}

Result<AccountAddress> make_address(std::string_view local, const DomainName& domain,
                                    CasePolicy policy) {
    auto name = normalise_local(local, policy);
    if (!name) return std::unexpected(name.error());
    if (domain.empty()) return fail(ErrorKind::Syntax, "the domain is empty");
    *name += '@';
    *name += domain.text;
    return AccountAddress(std::move(*name));
}

Result<AccountAddress> parse_address(std::string_view text, CasePolicy policy) {
    const std::size_t at = text.rfind('@');
    if (at == text.npos) return fail(ErrorKind::Syntax, "an address needs an @");
    auto domain = parse_domain(text.substr(at + 1));
    if (!domain) return std::unexpected(domain.error());
    return make_address(text.substr(0, at), *domain, policy);
}

std::string_view local_of(const AccountAddress& address) {
    return address.view().substr(0, address.view().rfind('@'));
}

std::string_view domain_of(const AccountAddress& address) {
    const std::size_t at = address.view().rfind('@');
    return at == std::string_view::npos ? std::string_view{} : address.view().substr(at + 1);
}

Result<LoginName> parse_login(std::string_view text) {
    LoginName login;
    const std::size_t at = text.rfind('@');
    if (at != text.npos) {
        auto domain = parse_domain(text.substr(at + 1));
        if (!domain) return std::unexpected(domain.error());
        login.domain = std::move(*domain);
    }
    auto local = normalise_local(text.substr(0, at), CasePolicy::Keep);
    if (!local) return std::unexpected(local.error());
    login.local = std::move(*local);
    return login;
}

Result<std::string> parse_plain_name(std::string_view text) {
    const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    const auto is_inner = [&](char c) { return is_word(c) || c == '.' || c == '_' || c == '-'; };
    if (text.empty() || text.size() > kMaxLabel) {
        return fail(ErrorKind::Syntax, "a name has 1 to 63 characters");
    }
    if (!is_word(text.front()) || !std::ranges::all_of(text, is_inner)) {
        return fail(ErrorKind::Syntax,
                    "a name holds a-z, 0-9, '.', '_' and '-' and starts with a letter or digit");
    }
    return std::string(text);
}

}  // namespace muster::cluster
