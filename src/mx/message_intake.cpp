#include "mx/message_intake.h"

#include "base/release.h"
#include "mx/answers.h"
#include "queue/checksum.h"
#include "wire/authentication_results.h"
#include "wire/message.h"

namespace muster::mx {
namespace {

using wire::smtp::Refusal;

constexpr Refusal kBareLineEnd{554, "5.6.0", "A bare CR or LF: lines of mail end with CRLF"};
constexpr Refusal kNul{554, "5.6.0", "A NUL in the message"};
constexpr Refusal kLoop{554, "5.4.6", "Too many hops: this message goes round in a circle"};
constexpr Refusal kHeaderTooLarge{552, "5.3.4", "The header is larger than is taken here"};

/// Where the header of `text` ends, behind the empty line, looking from `from` on.
std::size_t end_of_header(std::string_view text, std::size_t from) {
    if (text.starts_with("\r\n")) return 2;
    const std::size_t at = text.find("\r\n\r\n", from);
    return at == text.npos ? text.npos : at + 4;
}

/// It would go on with the last field that is put above it.
bool begins_within_a_field(std::string_view text) {
    return text.starts_with(' ') || text.starts_with('\t');
}

}  // namespace

MessageIntake::MessageIntake(queue::Body body, const Settings& settings, Trace trace)
    : body_(std::move(body)), settings_(settings), trace_(std::move(trace)) {}

std::size_t MessageIntake::feed_data(std::string_view chunk) {
    unstuffed_.clear();
    const std::size_t taken = scanner_.feed(chunk, unstuffed_);
    take(unstuffed_);
    release(unstuffed_);  // nothing is kept while the client is waited for
    return taken;
}

void MessageIntake::feed_chunk(std::string_view piece) {
    chunked_ = true;
    check_.add(piece);
    take(piece);
}

void MessageIntake::take(std::string_view text) {
    size_ += text.size();
    if (size_ > settings_.message_bytes) refuse(kTooLarge);
    if (refusal_) return;
    if (!in_header_) return append(text);
    // The empty line may lie across two pieces.
    const std::size_t before = header_.size() < 3 ? 0 : header_.size() - 3;
    const std::string_view first = text.substr(0, wire::kMaxHeaderBlock - header_.size());
    header_ += first;
    if (begins_within_a_field(header_)) {
        close_header(header_);
        return append(text.substr(first.size()));
    }
    const std::size_t end = end_of_header(header_, before);
    if (end == std::string_view::npos) {
        if (header_.size() == wire::kMaxHeaderBlock) refuse(kHeaderTooLarge);
        return;
    }
    close_header(std::string_view(header_).substr(end));
    append(text.substr(first.size()));
}

/// `rest` is what of header_ belongs to the body.
void MessageIntake::close_header(std::string_view rest) {
    in_header_ = false;
    const std::string_view header =
        std::string_view(header_).substr(0, header_.size() - rest.size());
    const wire::HeaderSummary summary = wire::summarise_header(header);
    if (summary.received >= settings_.hops) return refuse(kLoop);
    if (summary.message_id) {
        auto values = wire::header_values(header, "Message-ID");
        if (!values.empty()) message_id_ = std::move(values.front());
    }
    std::string top = std::move(trace_.authentication) + trace_.received;
    if (trace_.complete && !summary.date) top += "Date: " + trace_.date + "\r\n";
    if (trace_.complete && !summary.message_id) {
        top += "Message-ID: " + trace_.message_id + "\r\n";
    }
    if (begins_within_a_field(rest) && header.empty()) top += "\r\n";  // as Postfix does
    const auto cleaned = trace_.own_results.empty()
                             ? std::nullopt
                             : wire::without_results_of(header, trace_.own_results);
    append(top);
    checksum_ = std::uint64_t{queue::crc32c(0, header)} << 32;
    append(cleaned ? *cleaned : header);
    above_size_ = body_.size();
    above_checksum_ = body_.checksum();
    append(rest);
    release(header_);
    release(trace_.received);
}

void MessageIntake::append(std::string_view text) {
    if (refusal_ || text.empty()) return;
    if (!body_.append(text)) refuse(kNoRoom);
}

void MessageIntake::refuse(const Refusal& refusal) {
    if (refusal_) return;
    refusal_ = refusal;
    release(header_);
    const queue::Body dropped = std::move(body_);  // its file is gone at once
}

void MessageIntake::judge(const wire::smtp::Findings& findings) {
    if (findings.bare()) refusal_ = kBareLineEnd;
    if (findings.nul) refusal_ = kNul;
}

std::expected<std::shared_ptr<const queue::Content>, Refusal> MessageIntake::finish() {
    if (chunked_) check_.finish();
    judge(chunked_ ? check_.findings() : scanner_.findings());
    if (!refusal_ && in_header_) close_header({});  // a message without a body
    if (refusal_) return std::unexpected(*refusal_);
    checksum_ |=
        queue::crc32c_of_rest(body_.checksum(), above_checksum_, body_.size() - above_size_);
    auto content = body_.finish();
    if (!content) return std::unexpected(kNoRoom);
    return std::move(*content);
}

}  // namespace muster::mx
