#pragma once
// For net/*.cpp only: what OpenSSL writes to a socket, with control over how it is sent.

struct bio_st;

namespace muster::net {

/// Writes to `fd`, which stays the caller's; for SSL_set0_wbio. Records that are followed by more
/// at once share segments and wake-ups (MSG_MORE), and none raises SIGPIPE.
bio_st* writing_bio(int fd);

/// While it lives, this thread's records are followed by more.
class MoreFollows {
public:
    explicit MoreFollows(bool more);
    ~MoreFollows();
    MoreFollows(const MoreFollows&) = delete;
    MoreFollows& operator=(const MoreFollows&) = delete;
};

}  // namespace muster::net
