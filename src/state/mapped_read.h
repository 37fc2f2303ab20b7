#pragma once

namespace muster::state {

/// The span in which this thread reads files by mapping: a page that cannot be read (the file was
/// cut off, the disk fails) then reads as zeros and is remembered here, where the kernel would
/// otherwise end the process (SIGBUS; `man 2 mmap`). The zeros stay in that mapping: what was read
/// is worth nothing, and the file must be opened anew. Not to be nested.
///
/// A SIGBUS anywhere else ends the process as before.
class MappedRead {
public:
    /// Installs the handler, once a process.
    static void prepare();

    MappedRead();
    ~MappedRead();
    MappedRead(const MappedRead&) = delete;
    MappedRead& operator=(const MappedRead&) = delete;

    /// A page could not be read since the span began.
    [[nodiscard]] bool failed() const;
};

}  // namespace muster::state
