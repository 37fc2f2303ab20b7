#include "admin/alarms.h"

#include "net/pki.h"

namespace muster::admin {
namespace {

std::string days(WallTime::duration time) {
    const auto count = std::chrono::duration_cast<std::chrono::days>(time).count();
    return std::to_string(count) + (count == 1 ? " day" : " days");
}

}  // namespace

std::optional<Alarm> end_alarm(const std::string& about, WallTime end, WallTime now,
                               std::string_view advice) {
    const std::string behind = advice.empty() ? "" : ": " + std::string(advice);
    if (end <= now) return Alarm{about, "ended " + days(now - end) + " ago" + behind, true};
    if (end - now >= kCertificateWarning) return std::nullopt;
    return Alarm{about, "ends in " + days(end - now) + behind, false};
}

std::vector<Alarm> certificate_alarms(const std::vector<NamedCertificate>& certificates,
                                      WallTime now) {
    std::vector<Alarm> alarms;
    for (const NamedCertificate& certificate : certificates) {
        const auto facts = net::read_certificate(certificate.chain);
        if (!facts) {
            alarms.push_back({certificate.about, "cannot be read: " + facts.error().detail, true});
        } else if (auto alarm = end_alarm(certificate.about, facts->not_after, now)) {
            alarms.push_back(std::move(*alarm));
        } else if (facts->not_before > now) {
            alarms.push_back({certificate.about,
                              "is not valid yet, for another " + days(facts->not_before - now),
                              true});
        }
    }
    return alarms;
}

nlohmann::json to_json(const std::vector<Alarm>& alarms) {
    nlohmann::json list = nlohmann::json::array();
    for (const Alarm& alarm : alarms) {
        list.push_back({{"about", alarm.about}, {"text", alarm.text}, {"severe", alarm.severe}});
    }
    return list;
}

}  // namespace muster::admin
