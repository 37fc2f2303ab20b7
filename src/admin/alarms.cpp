#include "admin/alarms.h"

#include "net/pki.h"

namespace muster::admin {
namespace {

std::string days(WallTime::duration time) {
    const auto count = std::chrono::duration_cast<std::chrono::days>(time).count();
    return std::to_string(count) + (count == 1 ? " day" : " days");
}

}  // namespace

std::vector<Alarm> certificate_alarms(const std::vector<NamedCertificate>& certificates,
                                      WallTime now) {
    std::vector<Alarm> alarms;
    for (const NamedCertificate& certificate : certificates) {
        const auto facts = net::read_certificate(certificate.chain);
        if (!facts) {
            alarms.push_back({certificate.about, "cannot be read: " + facts.error().detail, true});
        } else if (facts->not_after <= now) {
            alarms.push_back(
                {certificate.about, "ended " + days(now - facts->not_after) + " ago", true});
        } else if (facts->not_after - now < kCertificateWarning) {
            alarms.push_back({certificate.about, "ends in " + days(facts->not_after - now), false});
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
