#include "cluster/domain_exceptions.h"

#include "cluster/entry_codec.h"
#include "cluster/json_fields.h"

namespace muster::cluster {

Result<std::string> patched_domain(std::string_view name, std::string_view json,
                                   std::string_view patch) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    const auto changes = parse_object(patch);
    if (!changes) return std::unexpected(changes.error());
    for (const char* fixed : {"name", "kind"}) {
        if (!changes->contains(fixed)) continue;
        return fail(ErrorKind::Syntax,
                    std::string("the ") + fixed + " of a domain is the same on all nodes");
    }
    object->merge_patch(*changes);
    std::string text = to_text(*object);
    if (const auto domain = decode_domain(name, text); !domain) {
        return std::unexpected(domain.error());
    }
    return text;
}

std::shared_ptr<const DomainPatches> DomainExceptions::current() const {
    const std::scoped_lock lock(mutex_);
    return patches_;
}

void DomainExceptions::replace(DomainPatches patches) {
    auto next = std::make_shared<const DomainPatches>(std::move(patches));
    const std::scoped_lock lock(mutex_);
    patches_.swap(next);
}

}  // namespace muster::cluster
