#include "options.h"

#include <cstdio>
#include <cstdlib>

namespace muster::bench {
namespace {

[[noreturn]] void usage(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(2);
}

}  // namespace

Options::Options(int argc, char** argv, int first) {
    for (int i = first; i < argc; i += 2) {
        const std::string_view name = argv[i];
        if (!name.starts_with("--") || i + 1 == argc) usage("expected --NAME VALUE");
        values_.emplace(name.substr(2), argv[i + 1]);
    }
}

const std::string& Options::text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) usage("missing --" + name);
    return found->second;
}

int Options::number(const std::string& name, int otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : std::atoi(found->second.c_str());
}

}  // namespace muster::bench
