#pragma once
// Takes over the messages of a dead node's spool.

#include <functional>
#include <string>

#include "queue/loader.h"
#include "queue/spool_files.h"
#include "queue/spool_owner.h"

namespace muster::queue {

struct AdoptReport {
    std::uint64_t known = 0;
    std::uint64_t adopted = 0;
    std::uint64_t present = 0;  ///< were here already
    std::uint64_t corrupt = 0;
    std::uint64_t removed = 0;  ///< half-written ones that were never acknowledged
};

/// See Spool::adopt.
Result<AdoptReport> adopt_spool(const std::string& folder, const Owner& self,
                                const SpoolFiles& files, Schedule& schedule,
                                const std::function<void(const AdoptReport&)>& progress);

/// Ends what an interrupted adoption from another file system left in FOLDER/adopting: copies
/// whose originals are gone become messages, others are forgotten (the originals still count).
/// False when their origin cannot be seen; they are kept then.
bool finish_adoption(const SpoolFiles& files);

}  // namespace muster::queue
