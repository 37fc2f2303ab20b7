// Dovecot's dict protocol: command lines, and that every answer is exactly one line.
#include "fuzz.h"
#include "wire/dovecot_dict.h"
#include "wire/tabescape.h"

namespace muster::wire::dovecot_dict {
namespace {

std::string join(char letter, std::string_view first, std::string_view second) {
    std::string line(1, letter);
    append_tabescaped(line, first);
    line += '\t';
    append_tabescaped(line, second);
    return line;
}

/// Commands read back from what a Dovecot would write for them.
struct Again {
    void operator()(const Lookup& lookup) const {
        auto command = parse_command(join('L', lookup.key, lookup.user));
        if (lookup.key.empty()) return;  // escapes without a character behind them
        MUST(command && std::get<Lookup>(*command).key == lookup.key);
        MUST(std::get<Lookup>(*command).user == lookup.user);
    }
    void operator()(const Set& set) const {
        auto line = join('S', std::to_string(set.id), set.key) + '\t';
        append_tabescaped(line, set.value);
        auto command = parse_command(line);
        MUST(command && std::get<Set>(*command).value == set.value);
        MUST(std::get<Set>(*command).key == set.key && std::get<Set>(*command).id == set.id);
    }
    void operator()(const AtomicInc& inc) const {
        auto line =
            join('A', std::to_string(inc.id), inc.key) + '\t' + std::to_string(inc.difference);
        MUST(std::get<AtomicInc>(*parse_command(line)).difference == inc.difference);
    }
    void operator()(const auto&) const {}
};

void one_line(const std::string& line) {
    MUST(line.find('\n') == line.size() - 1 && !line.contains('\0') && !line.contains('\r'));
}

void answers(std::string_view text) {
    for (AsyncId id : {AsyncId{}, AsyncId{7}}) {
        one_line(write_found(text, id));
        one_line(write_failure(text, id));
        one_line(write_row(text, text, id));
        one_line(write_commit({.id = 1}, CommitResult::Failed, text, id));
    }
    auto found = write_found(text);
    MUST(tabunescape(std::string_view(found).substr(1, found.size() - 2)) == text);
}

}  // namespace
}  // namespace muster::wire::dovecot_dict

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::dovecot_dict;
    auto text = muster::fuzz::text(data, size);
    for (unsigned major : {2U, 3U})
        if (auto command = parse_command(text, major)) std::visit(Again{}, *command);
    answers(text);
    return 0;
}
