#include "admin/join_proof.h"

#include <array>
#include <charconv>
#include <vector>

#include "base/base64.h"
#include "base/seal.h"

namespace muster::admin {
namespace {

constexpr std::size_t kLongestMessage = 4096;
constexpr std::size_t kLongestSalt = 256;
/// A stranger in the master's place must not make the password's key cheap to guess, nor keep us
/// busy for long.
constexpr unsigned kFewestIterations = kScramIterations;
constexpr unsigned kMostIterations = 1'000'000;

std::string escaped(std::string_view user) {
    std::string text;
    for (const char c : user) {
        if (c == '=') {
            text += "=3D";
        } else if (c == ',') {
            text += "=2C";
        } else {
            text += c;
        }
    }
    return text;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string user;
    while (!text.empty()) {
        if (text.front() != '=') {
            user += text.front();
            text.remove_prefix(1);
        } else if (text.starts_with("=3D") || text.starts_with("=2C")) {
            user += text[1] == '3' ? '=' : ',';
            text.remove_prefix(3);
        } else {
            return std::nullopt;
        }
    }
    return user;
}

bool is_nonce(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

/// The values of exactly these one-letter attributes in this order; empty when it is not so.
template <std::size_t Count>
std::optional<std::array<std::string_view, Count>> attributes(
    std::string_view text, const std::array<char, Count>& names) {
    std::array<std::string_view, Count> values;
    if (text.size() > kLongestMessage) return std::nullopt;
    for (std::size_t i = 0; i < Count; ++i) {
        const std::size_t comma = text.find(',');
        const bool last = i + 1 == Count;
        if ((comma == text.npos) != last) return std::nullopt;
        const std::string_view part = text.substr(0, comma);
        if (part.size() < 2 || part[0] != names[i] || part[1] != '=') return std::nullopt;
        values[i] = part.substr(2);
        if (!last) text.remove_prefix(comma + 1);
    }
    return values;
}

std::string exclusive_or(std::string left, std::string_view right) {
    for (std::size_t i = 0; i < left.size() && i < right.size(); ++i) {
        left[i] = static_cast<char>(left[i] ^ right[i]);
    }
    return left;
}

std::unexpected<Error> wrong() {
    return fail(ErrorKind::Refused, "administrator's name or password is wrong");
}

std::string binding(std::string_view header, std::string_view data) {
    return base64_encode(std::string(header) + std::string(data));
}

}  // namespace

std::string join_binding_data(std::string_view master_pin, std::string_view node_pin,
                              std::string_view wish) {
    return std::string(master_pin) + "\n" + std::string(node_pin) + "\n" +
           hex_encode(sha256(std::string(wish)));
}

ScramClient::ScramClient(std::string_view user, std::string password, std::string nonce,
                         std::string header)
    : header_(std::move(header)),
      bare_("n=" + escaped(user) + ",r=" + nonce),
      password_(std::move(password)),
      nonce_(std::move(nonce)) {}

Result<std::string> ScramClient::final(std::string_view challenge, std::string_view binding_data) {
    const auto strange = fail(ErrorKind::Refused, "the master's challenge is damaged");
    const auto parts = attributes<3>(challenge, {'r', 's', 'i'});
    if (!parts) return strange;
    const auto& [nonce, salt_text, count] = *parts;
    const auto salt = base64_decode(salt_text, kLongestSalt);
    unsigned iterations = 0;
    const auto read = std::from_chars(count.data(), count.data() + count.size(), iterations);
    const bool fits = salt && !salt->empty() && read.ec == std::errc{} &&
                      read.ptr == count.data() + count.size() && is_nonce(nonce) &&
                      nonce.size() > nonce_.size() && nonce.starts_with(nonce_);
    if (!fits) return strange;
    if (iterations < kFewestIterations || iterations > kMostIterations) {
        return fail(ErrorKind::Refused, "the master asks for a key of " + std::string(count) +
                                            " iterations: it is not the one it says it is");
    }
    const auto secret = scram_sha256_secret(password_, *salt, iterations);
    if (!secret) return std::unexpected(secret.error());
    const std::string bare = "c=" + binding(header_, binding_data) + ",r=" + std::string(nonce);
    const std::string message = bare_ + "," + std::string(challenge) + "," + bare;
    server_signature_ = hmac_sha256(secret->server, message);
    const std::string signature = hmac_sha256(secret->stored, message);
    return bare + ",p=" + base64_encode(exclusive_or(secret->client, signature));
}

bool ScramClient::proves_server(std::string_view server_final) const {
    return !server_signature_.empty() &&
           equal_in_constant_time(server_final, "v=" + base64_encode(server_signature_));
}

Result<ScramFirst> parse_scram_first(std::string_view text) {
    const auto damaged = fail(ErrorKind::Syntax, "no first message of SCRAM");
    if (text.size() > kLongestMessage) return damaged;
    const std::size_t flag = text.find(',');
    const std::size_t end = flag == text.npos ? text.npos : text.find(',', flag + 1);
    if (end == text.npos) return damaged;
    const std::string_view bare = text.substr(end + 1);
    const auto parts = attributes<2>(bare, {'n', 'r'});
    if (!parts || !is_nonce((*parts)[1])) return damaged;
    const auto user = unescaped((*parts)[0]);
    if (!user || user->empty()) return damaged;
    return ScramFirst{std::string(text.substr(0, end + 1)), *user, std::string((*parts)[1]),
                      std::string(bare)};
}

ScramServer::ScramServer(ScramFirst first, ScramKey key, std::string_view nonce)
    : first_(std::move(first)), key_(std::move(key)), nonce_(first_.nonce + std::string(nonce)) {}

std::string ScramServer::challenge() const {
    return "r=" + nonce_ + ",s=" + base64_encode(key_.salt) +
           ",i=" + std::to_string(key_.iterations);
}

Result<std::string> ScramServer::finish(std::string_view client_final,
                                        std::string_view binding_data) const {
    const auto parts = attributes<3>(client_final, {'c', 'r', 'p'});
    if (!parts || (*parts)[1] != nonce_) return wrong();
    if (!equal_in_constant_time((*parts)[0], binding(first_.header, binding_data))) {
        return fail(ErrorKind::Refused,
                    "the node speaks with another key than this master's: something stands between "
                    "them");
    }
    const auto proof = base64_decode((*parts)[2], key_.stored.size());
    if (!proof || proof->size() != key_.stored.size()) return wrong();
    const std::string message = first_.bare + "," + challenge() + "," +
                                std::string(client_final.substr(0, client_final.rfind(",p=")));
    const std::string client = exclusive_or(*proof, hmac_sha256(key_.stored, message));
    if (!equal_in_constant_time(sha256(client), key_.stored)) return wrong();
    return "v=" + base64_encode(hmac_sha256(key_.server, message));
}

std::string_view scram_nonce(std::string_view client_final) {
    const auto parts = attributes<3>(client_final, {'c', 'r', 'p'});
    return parts ? (*parts)[1] : std::string_view();
}

ScramKey unknown_users_key(std::string_view user, std::string_view secret) {
    constexpr std::size_t kSalt = 16;
    constexpr std::size_t kDigest = 32;
    const std::string salt =
        hmac_sha256(secret, "salt of an unknown administrator\n" + std::string(user));
    return {kScramIterations, salt.substr(0, kSalt), random_bytes(kDigest), random_bytes(kDigest)};
}

}  // namespace muster::admin
