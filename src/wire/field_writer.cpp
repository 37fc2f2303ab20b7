#include "wire/field_writer.h"

#include "wire/ascii.h"

namespace muster::wire {
namespace {

constexpr std::size_t kColumns = 78;
constexpr std::size_t kTab = 8;
constexpr std::size_t kLongestWord = 900;
constexpr std::size_t kLongestName = 255;

}  // namespace

std::string field_word(std::string_view text) {
    constexpr std::string_view kSpecial = "()<>\"\\,;";
    std::string out(text.substr(0, kLongestName));
    for (char& c : out)
        if (!is_graphic(c) || kSpecial.contains(c)) c = '?';
    return out;
}

FieldWriter::FieldWriter(std::string& out, std::string_view name)
    : out_(out), column_(name.size() + 1) {
    out_.append(name).append(":");
}

void FieldWriter::fold() {
    out_ += "\r\n\t";
    column_ = kTab;
}

void FieldWriter::word(std::string_view word) {
    do {
        auto part = word.substr(0, kLongestWord);
        word.remove_prefix(part.size());
        bool empty = out_.ends_with('\t');
        if (!empty && column_ + 1 + part.size() > kColumns) {
            fold();
        } else if (!empty) {
            out_ += ' ';
            ++column_;
        }
        out_ += part;
        column_ += part.size();
    } while (!word.empty());
}

void FieldWriter::words(std::string_view text) {
    for (auto next = take_word(text); !next.empty(); next = take_word(text)) word(next);
}

void FieldWriter::end() { out_ += "\r\n"; }

}  // namespace muster::wire
