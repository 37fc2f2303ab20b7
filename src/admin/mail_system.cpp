#include "admin/mail_system.h"

#include "admin/delivery_seal.h"
#include "admin/mail_settings.h"
#include "base/log.h"

namespace muster::admin {

std::string why_no_member(const cluster::Topology& topology, const NodeName& node,
                          std::string_view pin) {
    const cluster::Node* const entry = topology.node(node.text);
    if (entry == nullptr) return {};
    if (entry->revoked) return "this node was revoked";
    if (!entry->pin.empty() && entry->pin != pin) return "another key has this node's name";
    return {};
}

Result<std::unique_ptr<MailSystem>> MailSystem::open(
    const NodeContext& context, std::shared_ptr<const delivery::SenderRewriting> rewriting) {
    auto settings = mail_settings(context.config);
    if (!settings) return std::unexpected(settings.error());
    auto runner = runner_settings(context.config);
    if (!runner) return std::unexpected(runner.error());
    std::unique_ptr<queue::Spool> spool;
    if (settings->store) {
        auto opened = queue::Spool::open(spool_settings(context.config, context.identity));
        if (!opened) return std::unexpected(opened.error());
        spool = std::move(*opened);
        log::info("queue-opened", {{"folder", spool->folder()}});
    }
    std::unique_ptr<MailSystem> system(
        new MailSystem(std::move(*settings), std::move(spool), context.config.node.name));
    auto resolver = net::Resolver::create(resolver_settings(context.config));
    if (!resolver) return std::unexpected(resolver.error());
    system->resolver_ = std::move(*resolver);
    system->runner_settings_ = std::move(*runner);
    system->runner_settings_.routes.open_password = delivery_opener(context);
    system->runner_settings_.routes.rewriting = rewriting.get();
    system->rewriting_ = std::move(rewriting);
    return system;
}

MailSystem::MailSystem(mx::Settings settings, std::unique_ptr<queue::Spool> spool,
                       const NodeName& node)
    : settings_(std::move(settings)), spool_(std::move(spool)), rates_(settings_), ids_(node) {}

MailSystem::~MailSystem() { stop(); }

void MailSystem::start(const NodeContext& context, frontend::FrontEnd& front_end,
                       const frontend::UpstreamSettings& upstream) {
    if (!spool_) return;
    follow_membership(context);
    runner_ = std::make_unique<delivery::QueueRunner>(runner_settings_, *spool_, *context.topology,
                                                      front_end.hosts(), upstream,
                                                      context.config.node.name, resolver_.get());
    runner_->start();
}

void MailSystem::stop() { runner_.reset(); }

void MailSystem::follow_membership(const NodeContext& context) {
    const std::scoped_lock lock(mutex_);
    no_member_ =
        why_no_member(*context.topology->current(), context.config.node.name, context.identity.pin);
    judge_membership();
}

void MailSystem::master_says(bool member) {
    const std::scoped_lock lock(mutex_);
    refused_ = !member;
    judge_membership();
}

void MailSystem::judge_membership() {
    if (!spool_) return;
    if (no_member_.empty() && !refused_) return spool_->resume();
    spool_->suspend(no_member_.empty() ? "a master says that this node was revoked" : no_member_);
}

void MailSystem::server_is_back(const ServerName& server) {
    if (!spool_) return;
    const std::size_t count =
        spool_->schedule().flush_destination("server:" + server.text, queue::now());
    if (count != 0) log::info("queue-flushed", {{"server", server}, {"messages", count}});
}

void MailSystem::measure() {
    if (spool_) meters_.measure(*spool_);
}

std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> MailSystem::service() {
    return mx::mail_service_of(
        {settings_, spool_.get(), rates_, results_, ids_, resolver_.get(), rewriting_.get()});
}

}  // namespace muster::admin
