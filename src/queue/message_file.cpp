#include "queue/message_file.h"

#include <algorithm>
#include <charconv>

#include "queue/file_text.h"

namespace muster::queue {
namespace {

constexpr std::string_view kFirstLine = "muster-queue 1\n";
constexpr std::string_view kMessageLine = "-- message\n";
constexpr std::size_t kLongestReply = 500;

constexpr std::array<std::pair<std::uint8_t, std::string_view>, 4> kNotify{{
    {notify::kNever, "never"},
    {notify::kSuccess, "success"},
    {notify::kFailure, "failure"},
    {notify::kDelay, "delay"},
}};
constexpr std::array<std::string_view, 3> kOutcomes = {"delivered", "failed", "deferred"};
constexpr std::array<std::string_view, 3> kReturns = {"", "full", "hdrs"};
constexpr std::array<std::string_view, 2> kKinds = {"mail", "dsn"};
constexpr std::array<std::string_view, 2> kMarks = {"delay-notice", "attempt"};

template <typename Names>
std::size_t place_of(std::string_view word, const Names& names) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), word) - names.begin());
}

// Writing.

void field(std::string& out, std::string_view key, std::string_view value) {
    if (value.empty()) return;
    out += key;
    out += ' ';
    append_escaped(out, value);
    out += '\n';
}

void append_notify(std::string& out, std::uint8_t bits) {
    if (bits == 0) return;
    out += " notify=";
    bool first = true;
    for (const auto& [bit, word] : kNotify) {
        if ((bits & bit) == 0) continue;
        if (!first) out += ',';
        out += word;
        first = false;
    }
}

void append_recipient(std::string& out, const Recipient& recipient) {
    out += "recipient ";
    append_escaped(out, recipient.address);
    append_notify(out, recipient.notify);
    if (!recipient.orcpt.empty()) {
        out += " orcpt=";
        append_escaped(out, recipient.orcpt);
    }
    if (recipient.forwarded) out += " forwarded";
    if (recipient.in_line) out += " inline";
    out += '\n';
}

std::string fields_of(const Envelope& envelope) {
    std::string out;
    out.reserve(512);
    out += "arrived ";
    append_time(out, envelope.arrived);
    out += "\nexpires ";
    append_time(out, envelope.expires);
    out += "\nkind ";
    out += kKinds[static_cast<std::size_t>(envelope.kind)];
    out += '\n';
    field(out, "class", envelope.route_class);
    field(out, "client", envelope.client_address);
    field(out, "client-name", envelope.client_name);
    field(out, "helo", envelope.helo);
    field(out, "login", envelope.login);
    field(out, "session", envelope.session.text);
    if (envelope.hold) out += "hold yes\n";
    if (envelope.body8bit) out += "body 8bit\n";
    if (envelope.smtputf8) out += "smtputf8 yes\n";
    field(out, "ret", kReturns[static_cast<std::size_t>(envelope.ret)]);
    field(out, "envid", envelope.envid);
    out += "sender <";
    append_escaped(out, envelope.sender);
    out += ">\nrecipients ";
    out += std::to_string(envelope.recipients.size());
    out += '\n';
    for (const Recipient& recipient : envelope.recipients) append_recipient(out, recipient);
    return out;
}

std::string layout_lines(const QueueId& id, std::uint64_t size, std::uint32_t checksum,
                         std::size_t head) {
    std::string out;
    out += kFirstLine;
    out += "id ";
    out += id.text;
    out += "\nsize ";
    append_padded(out, size, 12, 10);
    out += " crc32c ";
    append_padded(out, checksum, 8, 16);
    out += " head ";
    append_padded(out, head, 8, 10);
    out += '\n';
    return out;
}

/// How many bytes of `lines` are whole lines within `room`.
std::size_t whole_lines(std::string_view lines, std::size_t room) {
    if (lines.size() <= room) return lines.size();
    const std::size_t end = lines.substr(0, room).rfind('\n');
    return end == std::string_view::npos ? 0 : end + 1;
}

// Reading.

std::unexpected<Error> corrupt(std::string what) {
    return fail(ErrorKind::Corrupt, "a queue file is damaged", std::move(what));
}

std::string_view next_word(std::string_view& text) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

template <typename Number>
bool read_number(std::string_view text, Number& out, int base = 10) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), out, base);
    return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

bool read_notify(std::string_view words, std::uint8_t& bits) {
    while (!words.empty()) {
        const std::size_t end = std::min(words.find(','), words.size());
        const std::string_view word = words.substr(0, end);
        words.remove_prefix(std::min(end + 1, words.size()));
        const auto found = std::find_if(kNotify.begin(), kNotify.end(),
                                        [word](const auto& each) { return each.second == word; });
        if (found == kNotify.end()) return false;
        bits |= found->first;
    }
    return true;
}

bool read_recipient(std::string_view line, Recipient& recipient) {
    if (!unescape(next_word(line), recipient.address) || recipient.address.empty()) return false;
    while (!line.empty()) {
        const std::string_view word = next_word(line);
        if (word.starts_with("notify=") && !read_notify(word.substr(7), recipient.notify)) {
            return false;
        }
        if (word.starts_with("orcpt=") && !unescape(word.substr(6), recipient.orcpt)) return false;
        if (word == "forwarded") recipient.forwarded = true;
        if (word == "inline") recipient.in_line = true;
    }
    return true;
}

template <typename Enum, typename Names>
bool read_word(std::string_view word, const Names& names, Enum& out) {
    const std::size_t place = place_of(word, names);
    if (place == names.size()) return false;
    out = static_cast<Enum>(place);
    return true;
}

/// Lines of the envelope, wherever they stand.
class EnvelopeReader {
public:
    explicit EnvelopeReader(Envelope& envelope) : envelope_(envelope) {}

    bool line(std::string_view line) {
        const std::string_view key = next_word(line);
        if (key == "recipient") return recipient(line);
        if (std::string* const text = text_field(key)) return unescape(line, *text);
        if (key == "arrived") return read_time(line, envelope_.arrived);
        if (key == "expires") return read_time(line, envelope_.expires);
        if (key == "kind") return read_word(line, kKinds, envelope_.kind);
        if (key == "ret") return read_word(line, kReturns, envelope_.ret);
        if (key == "hold") envelope_.hold = true;
        if (key == "body") envelope_.body8bit = line == "8bit";
        if (key == "smtputf8") envelope_.smtputf8 = true;
        if (key == "sender") return sender(line);
        if (key == "recipients") return count(line);
        return true;  // of a later version
    }

    [[nodiscard]] bool complete() const {
        return sender_ && counted_ && envelope_.recipients.size() == expected_;
    }

private:
    std::string* text_field(std::string_view key) {
        if (key == "class") return &envelope_.route_class;
        if (key == "client") return &envelope_.client_address;
        if (key == "client-name") return &envelope_.client_name;
        if (key == "helo") return &envelope_.helo;
        if (key == "login") return &envelope_.login;
        if (key == "session") return &envelope_.session.text;
        if (key == "envid") return &envelope_.envid;
        return nullptr;
    }

    bool sender(std::string_view value) {
        if (value.size() < 2 || value.front() != '<' || value.back() != '>') return false;
        sender_ = true;
        return unescape(value.substr(1, value.size() - 2), envelope_.sender);
    }

    bool count(std::string_view value) {
        counted_ = read_number(value, expected_) && expected_ <= kMostRecipients;
        return counted_;
    }

    bool recipient(std::string_view value) {
        if (!counted_ || envelope_.recipients.size() >= expected_) return false;
        return read_recipient(value, envelope_.recipients.emplace_back());
    }

    Envelope& envelope_;
    std::size_t expected_ = 0;
    bool counted_ = false;
    bool sender_ = false;
};

/// `TIME PLACE OUTCOME STATUS SERVER TEXT` and `TIME * MARK`; others are passed over.
void read_journal_line(std::string_view line, FileContents& contents) {
    Time at{};
    if (!read_time(next_word(line), at)) return;
    const std::string_view place = next_word(line);
    if (place == "*") {
        if (line == kMarks[static_cast<std::size_t>(Mark::DelayNotice)]) {
            contents.delay_notice = true;
        }
        if (line != kMarks[static_cast<std::size_t>(Mark::Attempt)]) return;
        ++contents.tries;
        contents.last_try = std::max(contents.last_try, at);
        return;
    }
    RecipientResult result;
    result.at = at;
    if (!read_number(place, result.recipient)) return;
    if (result.recipient >= contents.states.size()) return;
    if (!read_word(next_word(line), kOutcomes, result.outcome)) return;
    result.status = next_word(line);
    const std::string_view server = next_word(line);
    if (server != "-" && !unescape(server, result.server)) return;
    if (!unescape(line, result.text)) return;
    RecipientState& state = contents.states[result.recipient];
    if (result.outcome == Outcome::Deferred) ++state.tries;
    if (state.kind != RecipientState::Kind::Open) return;
    if (result.outcome == Outcome::Delivered) state.kind = RecipientState::Kind::Delivered;
    if (result.outcome == Outcome::Failed) state.kind = RecipientState::Kind::Failed;
    state.last = std::move(result);
}

Result<> read_head(std::string_view head, EnvelopeReader& reader) {
    if (!head.ends_with(kMessageLine)) return corrupt("the head has no end");
    head.remove_suffix(kMessageLine.size());
    head.remove_prefix(kLayoutLength);
    while (!head.empty()) {
        const std::size_t end = head.find('\n');
        if (end == std::string_view::npos) return corrupt("the head's last line has no end");
        const std::string_view line = head.substr(0, end);
        if (!line.empty() && !reader.line(line)) {
            return corrupt("in the head: " + std::string(line.substr(0, 100)));
        }
        head.remove_prefix(end + 1);
    }
    return {};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Result<> read_tail(std::string_view tail, EnvelopeReader& reader, FileContents& contents) {
    if (!tail.starts_with(kResultsLine)) return corrupt("the message is not whole");
    std::size_t at = kResultsLine.size();
    bool journal = false;
    for (;;) {
        const std::size_t end = tail.find('\n', at);
        if (end == std::string_view::npos) break;
        const std::string_view line = tail.substr(at, end - at);
        journal = journal || reader.complete();
        if (journal) {
            if (contents.states.empty())
                contents.states.resize(contents.envelope.recipients.size());
            if (!line.empty() && is_digit(line[0])) read_journal_line(line, contents);
        } else if (!reader.line(line)) {
            return corrupt("after the message: " + std::string(line.substr(0, 100)));
        }
        at = end + 1;
    }
    if (!reader.complete()) return corrupt("recipients are missing");
    contents.states.resize(contents.envelope.recipients.size());
    contents.whole = at;
    return {};
}

}  // namespace

FileText render(const QueueId& id, const Envelope& envelope, std::uint64_t size,
                std::uint32_t checksum, std::size_t head_length) {
    const std::string fields = fields_of(envelope);
    const std::size_t around = kLayoutLength + kMessageLine.size();
    std::size_t in_front = fields.size();
    if (head_length != 0) in_front = whole_lines(fields, head_length - around);
    const std::size_t length = head_length != 0 ? head_length : around + fields.size();
    FileText text;
    text.head = layout_lines(id, size, checksum, length);
    text.head.reserve(length);
    text.head.append(fields, 0, in_front);
    text.head.append(length - around - in_front, '\n');
    text.head += kMessageLine;
    text.tail = kResultsLine;
    text.tail.append(fields, in_front);
    return text;
}

Result<Layout> parse_layout(std::string_view start) {
    if (start.size() < kLayoutLength) return corrupt("the file is too short");
    const std::string_view lines = start.substr(0, kLayoutLength);
    Layout layout;
    layout.id = QueueId(lines.substr(kFirstLine.size() + 3, kQueueIdLength));
    std::string_view numbers = lines.substr(kLayoutLength - 48);
    if (!read_number(numbers.substr(5, 12), layout.size) ||
        !read_number(numbers.substr(25, 8), layout.checksum, 16) ||
        !read_number(numbers.substr(39, 8), layout.head) || !is_queue_id(layout.id.view())) {
        return corrupt("the first lines are not those of a queued message");
    }
    const bool right = layout.head <= kLongestHead &&
                       layout.head >= kLayoutLength + kMessageLine.size() &&
                       lines == layout_lines(layout.id, layout.size, layout.checksum, layout.head);
    if (!right) return corrupt("the first lines are not those of a queued message");
    return layout;
}

Result<FileContents> parse_file(std::string_view head, std::string_view tail) {
    auto layout = parse_layout(head);
    if (!layout) return std::unexpected(layout.error());
    if (head.size() != layout->head) return corrupt("the head is cut short");
    FileContents contents;
    contents.layout = std::move(*layout);
    EnvelopeReader reader(contents.envelope);
    if (auto read = read_head(head, reader); !read) return std::unexpected(read.error());
    if (auto read = read_tail(tail, reader, contents); !read) return std::unexpected(read.error());
    return contents;
}

std::uint32_t FileContents::open_recipients() const {
    std::uint32_t count = 0;
    for (const RecipientState& state : states) count += state.kind == RecipientState::Kind::Open;
    return count;
}

void append_result(std::string& out, const RecipientResult& result) {
    append_time(out, result.at);
    out += ' ';
    out += std::to_string(result.recipient);
    out += ' ';
    out += kOutcomes[static_cast<std::size_t>(result.outcome)];
    out += ' ';
    append_escaped(out, result.status.empty() ? std::string_view("-")
                                              : std::string_view(result.status).substr(0, 20));
    out += ' ';
    append_escaped(out, result.server.empty() ? std::string_view("-")
                                              : std::string_view(result.server).substr(0, 300));
    out += ' ';
    append_escaped(out, std::string_view(result.text).substr(0, kLongestReply), true);
    out += '\n';
}

void append_mark(std::string& out, Mark mark, Time at) {
    append_time(out, at);
    out += " * ";
    out += kMarks[static_cast<std::size_t>(mark)];
    out += '\n';
}

}  // namespace muster::queue
