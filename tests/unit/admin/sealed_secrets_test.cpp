#include "admin/sealed_secrets.h"

#include <gtest/gtest.h>

#include "cluster/credential_seal.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using nlohmann::json;

const SealSecret kSecret = SealSecret::key(std::string(kSealKeyBytes, 'k'));
const SealSecret kOther = SealSecret::key(std::string(kSealKeyBytes, 'o'));
constexpr std::string_view kKey = "credential/old";

json credential(const std::string& password) {
    return {{"user", "master"}, {"password", password}};
}

std::string sealed(json object, const json& before = json()) {
    EXPECT_TRUE(seal_secrets(kKey, object, before, kSecret));
    return object["password"];
}

TEST(SealedSecrets, APasswordIsSealedAndOpensWithTheClustersSecretAlone) {
    const std::string text = sealed(credential("open sesame"));
    EXPECT_TRUE(cluster::is_sealed(text));
    EXPECT_FALSE(text.contains("sesame"));
    EXPECT_EQ(cluster::opened_password(text, kSecret).value(), "open sesame");
    EXPECT_EQ(cluster::opened_password(text, kOther).error().kind, ErrorKind::Refused);
    EXPECT_EQ(cluster::opened_password(text, SealSecret::key("")).error().kind, ErrorKind::Refused);
    EXPECT_EQ(cluster::opened_password("{SEALED}%%", kSecret).error().kind, ErrorKind::Corrupt);
}

TEST(SealedSecrets, OneFromBeforeOpensAsItIs) {
    EXPECT_EQ(cluster::opened_password("open sesame", kSecret).value(), "open sesame");
}

TEST(SealedSecrets, WhatIsUnchangedKeepsItsSeal) {
    const std::string text = sealed(credential("open sesame"));
    EXPECT_EQ(sealed(credential("open sesame"), credential(text)), text);
    EXPECT_EQ(sealed(credential(text)), text);
    EXPECT_NE(sealed(credential("another"), credential(text)), text);
}

TEST(SealedSecrets, ASealOfAnotherClusterIsRefused) {
    json object = credential(cluster::sealed_password("open sesame", kOther));
    EXPECT_EQ(seal_secrets(kKey, object, json(), kSecret).error().kind, ErrorKind::Refused);
}

TEST(SealedSecrets, AKeyInADeclarationIsSealedToo) {
    json certificate{{"chain", "-----BEGIN"}, {"key", "-----BEGIN PRIVATE KEY-----"}};
    ASSERT_TRUE(seal_secrets("certificate/mail", certificate, json(), kSecret));
    EXPECT_FALSE(certificate["key"].get<std::string>().starts_with("-----"));
    json again{{"chain", "-----BEGIN"}, {"key", "-----BEGIN PRIVATE KEY-----"}};
    ASSERT_TRUE(seal_secrets("certificate/mail", again, certificate, kSecret));
    EXPECT_EQ(again, certificate);
}

TEST(SealedSecrets, AMasterSealsWhatOlderVersionsStored) {
    const state::TemporaryFolder folder;
    const auto store = state::SqliteStore::open(folder.path() / "directory.db").value();
    const auto put = [&](const std::string& key, const json& value) {
        state::Transaction transaction;
        EXPECT_TRUE(store->commit(transaction.put(key, value.dump())));
    };
    put("credential/old", credential("open sesame"));
    put("credential/new", credential(cluster::sealed_password("other", kSecret)));
    put("server/old", {{"host", "192.0.2.1"}});
    EXPECT_EQ(seal_stored_secrets(*store, kSecret).value(), 1u);
    EXPECT_EQ(seal_stored_secrets(*store, kSecret).value(), 0u);
    const auto stored = json::parse(store->get("credential/old").value()->value);
    EXPECT_EQ(cluster::opened_password(stored["password"].get<std::string>(), kSecret).value(),
              "open sesame");
}

}  // namespace
}  // namespace muster::admin
