#pragma once
// The cluster's state as one declarative file (JSON): written, read, compared, planned. Pure.
//
//   {"muster": 1, "domains": {NAME: {…}}, "servers": {…}, "accounts": {ADDRESS: {…}}, …}
//
// A section that stands in the file is the whole truth about its kind: what it does not name is
// deleted by `apply`. A section that is absent is left alone.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace muster::admin {

/// One kind of entry: how it is called in the file and in the API, its key prefix in the state,
/// and whether it holds secrets.
struct DeclaredSection {
    std::string_view name;
    std::string_view prefix;
    bool secret;
};
std::span<const DeclaredSection> declared_sections();

using Entries = std::map<std::string, nlohmann::json>;  ///< by key of the state

struct Declaration {
    std::set<std::string_view> sections;  ///< names of those that stand in the file
    Entries entries;
};

/// One object a line, in the order of their names, so that files can be compared by line.
class DeclarationWriter {
public:
    using Sink = std::function<Result<>(std::string_view)>;
    explicit DeclarationWriter(Sink sink) : sink_(std::move(sink)) {}
    Result<> begin_section(const DeclaredSection& section);
    /// `value` is the entry's JSON text.
    Result<> object(std::string_view name, std::string_view value);
    Result<> finish();

private:
    Sink sink_;
    bool in_section_ = false;
    bool first_ = true;
};

/// Whether an entry's rules hold for what is sealed only, and are looked at after that.
bool is_checked_sealed(std::string_view key);

/// Errors name the section and object that is wrong. Every entry is held against its own rules,
/// unless is_checked_sealed().
Result<Declaration> parse_declaration(std::string_view text);
Result<Declaration> read_declaration(const nlohmann::json& root);

struct Step {
    enum class Kind : std::uint8_t { Create, Change, Delete };
    Kind kind;
    std::string key;
    nlohmann::json before;  ///< null when created
    nlohmann::json after;   ///< null when deleted
};
std::string_view name(Step::Kind kind);

/// What turns `actual` into `desired`, deletions last. An account without id keeps the one it has
/// or gets one of `new_id`.
std::vector<Step> plan(const Entries& actual, const Declaration& desired,
                       const std::function<std::string()>& new_id);

/// The accounts as they would stand after the steps.
void for_each_account_after(const Entries& actual, const std::vector<Step>& steps,
                            const std::function<void(const nlohmann::json&)>& use);

/// Why no edit and no file may do this: it would change who leads, or whom all nodes trust. Empty
/// when they may. `leader` is the node that leads, whose entry may say so.
std::string unsettled_leader(const Step& step, const NodeName& leader);

/// What the steps would leave broken: a domain that lists no such server, an account whose home
/// or domain is missing, two accounts of one id …; one text for each, empty when all is well.
std::vector<std::string> broken_references(const Entries& actual, const std::vector<Step>& steps);

}  // namespace muster::admin
