#include "wire/tabescape.h"

namespace muster::wire {
namespace {

constexpr char kEscape = '\001';

char escaped(char c) {
    switch (c) {
        case '\0': return '0';
        case kEscape: return '1';
        case '\t': return 't';
        case '\r': return 'r';
        case '\n': return 'n';
        default: return '\0';
    }
}

char unescaped(char c) {
    switch (c) {
        case '0': return '\0';
        case '1': return kEscape;
        case 't': return '\t';
        case 'r': return '\r';
        case 'n': return '\n';
        default: return c;
    }
}

}  // namespace

void append_tabescaped(std::string& out, std::string_view text) {
    for (char c : text) {
        char code = escaped(c);
        if (code != '\0') out += kEscape;
        out += code != '\0' ? code : c;
    }
}

std::string tabunescape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != kEscape) {
            out += text[i];
        } else if (++i < text.size()) {
            out += unescaped(text[i]);
        }
    }
    return out;
}

}  // namespace muster::wire
