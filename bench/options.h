#pragma once
// "--name value" pairs of a tool's command line.

#include <map>
#include <string>
#include <string_view>

namespace muster::bench {

class Options {
public:
    /// Ends the program on anything that is not a pair.
    Options(int argc, char** argv, int first);
    bool has(const std::string& name) const { return values_.contains(name); }
    /// Ends the program when the option is missing.
    const std::string& text(const std::string& name) const;
    int number(const std::string& name, int otherwise) const;

private:
    std::map<std::string, std::string> values_;
};

}  // namespace muster::bench
