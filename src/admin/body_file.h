#pragma once
// Bodies that are too large for memory.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "admin/node_context.h"
#include "base/error.h"
#include "net/http_server.h"

namespace muster::admin {

/// A file without a name in the state folder; gone when closed. One thread at a time; blocks.
class BodyFile {
public:
    static Result<std::unique_ptr<BodyFile>> open(const std::string& folder);
    explicit BodyFile(int fd) : fd_(fd) {}
    ~BodyFile();
    BodyFile(const BodyFile&) = delete;
    BodyFile& operator=(const BodyFile&) = delete;

    Result<> append(std::string_view bytes);
    Result<> rewind();
    /// 0 at the end.
    Result<std::size_t> read(std::span<char> into);

private:
    int fd_;
};

/// The body of a request, written there and rewound.
Task<Result<>> receive(NodeContext& node, net::HttpExchange& exchange, BodyFile& file);

}  // namespace muster::admin
