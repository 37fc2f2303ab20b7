#pragma once
// Writes one header field, folded at spaces so that lines stay under 78 columns where their words
// let them, and never over 998 octets (RFC 5322, 2.1.1).

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::wire {

/// Octets that may not stand in an unquoted word of a field (`Received`, Message-ID) become `?`:
/// all but visible ASCII, and brackets, quotes, backslash, comma and semicolon. At most 255.
std::string field_word(std::string_view text);

class FieldWriter {
public:
    /// Writes `NAME:`. `out` must outlive the writer.
    FieldWriter(std::string& out, std::string_view name);
    /// A word that is not broken (unless no line could hold it), on this line or the next. Its
    /// octets are the caller's: no control characters.
    void word(std::string_view word);
    /// The words of a text, separated by spaces.
    void words(std::string_view text);
    /// Begins the next line.
    void fold();
    void end();

private:
    std::string& out_;
    std::size_t column_;
};

}  // namespace muster::wire
