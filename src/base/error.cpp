#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace muster {

std::string_view name(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::Syntax: return "syntax";
        case ErrorKind::NotFound: return "not-found";
        case ErrorKind::Unavailable: return "unavailable";
        case ErrorKind::Refused: return "refused";
        case ErrorKind::Limit: return "limit";
        case ErrorKind::Conflict: return "conflict";
        case ErrorKind::Diverged: return "diverged";
        case ErrorKind::Corrupt: return "corrupt";
        case ErrorKind::Io: return "io";
    }
    return "unknown";
}

void bug(std::string_view what, const char* file, int line) {
    std::fprintf(stderr, "muster: bug: %.*s (%s:%d)\n", static_cast<int>(what.size()), what.data(),
                 file, line);
    std::abort();
}

}  // namespace muster
