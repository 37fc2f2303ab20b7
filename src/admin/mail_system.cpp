#include "admin/mail_system.h"

#include "admin/mail_settings.h"
#include "base/log.h"

namespace muster::admin {

Result<std::unique_ptr<MailSystem>> MailSystem::open(const NodeContext& context) {
    auto settings = mail_settings(context.config);
    if (!settings) return std::unexpected(settings.error());
    std::unique_ptr<queue::Spool> spool;
    if (settings->store) {
        auto opened = queue::Spool::open(spool_settings(context.config, context.identity));
        if (!opened) return std::unexpected(opened.error());
        spool = std::move(*opened);
        log::info("queue-opened", {{"folder", spool->folder()}});
    }
    return std::unique_ptr<MailSystem>(
        new MailSystem(std::move(*settings), std::move(spool), context.config.node.name));
}

MailSystem::MailSystem(mx::Settings settings, std::unique_ptr<queue::Spool> spool,
                       const NodeName& node)
    : settings_(std::move(settings)),
      spool_(std::move(spool)),
      guard_(settings_.unknown_recipients),
      ids_(node) {}

std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> MailSystem::service() {
    return mx::mail_service_of({settings_, spool_.get(), guard_, ids_});
}

}  // namespace muster::admin
