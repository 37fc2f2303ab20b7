#include "queue/owner.h"

#include <algorithm>
#include <charconv>

namespace muster::queue {

std::string render(const Owner& owner) {
    return "node " + owner.node.text + "\ngeneration " + std::to_string(owner.generation) +
           "\ninstance " + owner.instance + "\n";
}

Result<Owner> parse_owner(std::string_view text) {
    Owner owner;
    bool numbered = false;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) break;
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos) continue;
        const std::string_view value = line.substr(space + 1);
        const std::string_view key = line.substr(0, space);
        if (key == "node") owner.node = NodeName(value);
        if (key == "instance") owner.instance = value;
        if (key != "generation") continue;
        const auto read =
            std::from_chars(value.data(), value.data() + value.size(), owner.generation);
        numbered = read.ec == std::errc() && read.ptr == value.data() + value.size();
    }
    if (owner.node.empty() || !numbered)
        return fail(ErrorKind::Corrupt, "no OWNER file of a queue");
    return owner;
}

Owner next_owner(const Owner& found, const Owner& self) {
    const bool is_self = found.node == self.node && found.instance == self.instance;
    Owner owner = self;
    owner.generation = std::max(self.generation, found.generation + (is_self ? 0 : 1));
    return owner;
}

Result<> may_run(const Owner& found, const Owner& self, std::string_view folder) {
    const std::string who = found.node.text + ", generation " + std::to_string(found.generation);
    if (found.node != self.node) {
        return fail(ErrorKind::Refused, "this node's queue belongs to another node",
                    "the queue in " + std::string(folder) + " was taken over by " + who +
                        ": it is not run here. Move the folder away to begin with an empty queue");
    }
    if (found.generation > self.generation && found.instance != self.instance) {
        return fail(ErrorKind::Refused, "this node's queue belongs to a later generation",
                    "the queue in " + std::string(folder) + " belongs to " + who +
                        ", this is generation " + std::to_string(self.generation));
    }
    return {};
}

}  // namespace muster::queue
