#include "cluster/account_import.h"

#include <gtest/gtest.h>

#include <map>

#include "base/password.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/import_rows.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::cluster {
namespace {

/// Hands out a text in small pieces, so that every boundary is met.
ByteReader reader_of(std::string text, std::size_t piece = 7) {
    return [text = std::move(text), piece,
            at = std::size_t{0}](std::span<char> buffer) mutable -> Result<std::size_t> {
        const std::size_t size = std::min({piece, buffer.size(), text.size() - at});
        text.copy(buffer.data(), size, at);
        at += size;
        return size;
    };
}

std::vector<CsvReader::Record> csv(const std::string& text) {
    CsvReader reader(reader_of(text));
    std::vector<CsvReader::Record> records;
    CsvReader::Record record;
    while (reader.next(record).value_or(false)) records.push_back(record);
    return records;
}

using Fields = std::vector<std::string>;

TEST(Csv, FollowsRfc4180) {
    const auto records =
        csv("\xef\xbb\xbf"
            "a,b\r\n\"x, \"\"y\"\"\",\"two\r\nlines\"\n\r\n,\nlast,");
    ASSERT_EQ(records.size(), 4u);
    EXPECT_EQ(records[0].fields, (Fields{"a", "b"}));
    EXPECT_EQ(records[1].fields, (Fields{"x, \"y\"", "two\r\nlines"}));
    EXPECT_EQ(records[1].line, 2u);
    EXPECT_EQ(records[2].fields, (Fields{"", ""}));
    EXPECT_EQ(records[2].line, 5u);
    EXPECT_EQ(records[3].fields, (Fields{"last", ""}));
}

TEST(Csv, ABadRowDoesNotSpoilTheNext) {
    for (const std::string& bad :
         {std::string("a\"b,c"), std::string("\"a\"b,c"), std::string("a\rb"),
          std::string("a\0b", 3), std::string(kMaxImportLine + 1, 'x'), std::string(64, ','),
          "\"" + std::string(kMaxImportLine, 'x')}) {
        const auto records = csv(bad + "\ngood,row\n");
        ASSERT_EQ(records.size(), 2u) << bad.substr(0, 20);
        EXPECT_FALSE(records[0].reason.empty()) << bad.substr(0, 20);
        EXPECT_EQ(records[1].fields, (Fields{"good", "row"})) << bad.substr(0, 20);
    }
    EXPECT_FALSE(csv("\"never closed").at(0).reason.empty());
}

TEST(JsonRows, AreReadAndRefusedOneByOne) {
    const auto rows = open_rows(
        AccountFormat::JsonLines,
        reader_of("{\"address\":\"a@d\",\"quota\":5,\"keys\":[\"{X}y\"],\"aliases\":[\"b@d\"]}\r\n"
                  "\n[]\n{\"address\":\"a@d\",\"colour\":1}\n{\"alias\":\"x@d\",\"to\":[\"a@d\","
                  "\"b@d\"]}\n" +
                  std::string(kMaxImportLine + 1, ' ') + "\n{\"address\":1}"));
    std::vector<ImportRow> all;
    ImportRow row;
    while (rows->next(row).value_or(false)) all.push_back(row);
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all[0].quota, "5");
    EXPECT_EQ(all[0].aliases, Fields{"b@d"});
    EXPECT_EQ(all[1].reason, "not a JSON object");
    EXPECT_EQ(all[1].line, 3u);
    EXPECT_EQ(all[2].reason, "colour is no field of an account");
    EXPECT_EQ(all[3].to, (Fields{"a@d", "b@d"}));
    EXPECT_NE(all[4].reason.find("64 KiB"), std::string::npos);
    EXPECT_EQ(all[5].reason, "address must be a text");
}

class AccountImportTest : public testing::Test {
protected:
    AccountImportTest()
        : store_(state::SqliteStore::open(folder_.path() / "directory.db").value()),
          writer_(*store_) {
        for (const char* name : {"sv1", "sv2"}) {
            Server server;
            server.name = ServerName(name);
            server.host = "192.0.2.1";
            EXPECT_TRUE(writer_.put(server));
        }
        Domain domain;
        domain.name = DomainName("d.org");
        domain.servers = {ServerName("sv1"), ServerName("sv2")};
        EXPECT_TRUE(writer_.put(domain));
    }

    ImportReport import(const std::string& text, ImportOptions options = {}) {
        auto report = import_accounts(*store_, reader_of(text, 4096), options);
        EXPECT_TRUE(report) << report.error().detail;
        return report.value_or(ImportReport{});
    }

    std::string exported(AccountFormat format, bool with_keys) {
        std::string text;
        const ByteWriter sink = [&](std::string_view bytes) -> Result<> {
            text += bytes;
            return {};
        };
        EXPECT_TRUE(export_accounts(*store_, sink, {.format = format, .with_keys = with_keys}));
        return text;
    }

    Fields keys_of(const AccountId& id) {
        const auto entry = store_->get(password_key(id)).value();
        return entry ? decode_password_keys(id.text, entry->value)->keys : Fields{};
    }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
    DirectoryWriter writer_;
};

const std::string kCsv =
    "address,home,password,quota,state,aliases,id\r\n"
    "Kate@d.org,sv2,{SHA512-CRYPT}$6$x,10G,,k@d.org kk@d.org,kate-1\r\n"
    "ada@d.org,,secret,,disabled,,\r\n"
    "bob@d.org,sv1,,,active,,\r\n";

TEST_F(AccountImportTest, CreatesAccountsKeysAndAliases) {
    const ImportReport report = import(kCsv);
    EXPECT_TRUE(report.written);
    EXPECT_EQ(report.rows, 3u);
    EXPECT_EQ(report.created, 3u);
    const Account kate = writer_.account(AccountAddress("kk@d.org")).value();
    EXPECT_EQ(kate.address.text, "kate@d.org");
    EXPECT_EQ(kate.id.text, "kate-1");
    EXPECT_EQ(kate.home.text, "sv2");
    EXPECT_EQ(kate.quota, std::uint64_t{10} << 30);
    EXPECT_EQ(keys_of(kate.id), Fields{"{SHA512-CRYPT}$6$x"});
    const Account ada = writer_.account(AccountAddress("ada@d.org")).value();
    EXPECT_TRUE(ada.disabled);
    EXPECT_FALSE(ada.home.empty());
    ASSERT_EQ(keys_of(ada.id).size(), 1u);
    EXPECT_TRUE(verify_password(keys_of(ada.id)[0], "secret").value());
}

TEST_F(AccountImportTest, OneBadRowMeansNothingIsWrittenUnlessToldOtherwise) {
    const std::string text = kCsv + "pete@nowhere.org,,,,,,\r\n" + "kate@d.org,sv9,,,,,\r\n";
    const ImportReport refused = import(text);
    EXPECT_FALSE(refused.written);
    EXPECT_EQ(refused.rejected, 2u);
    ASSERT_EQ(refused.rejected_rows.size(), 2u);
    EXPECT_EQ(refused.rejected_rows[0].line, 5u);
    EXPECT_EQ(refused.rejected_rows[0].reason, "no domain nowhere.org");
    EXPECT_FALSE(writer_.account(AccountAddress("kate@d.org")));
    const ImportReport partial = import(text, {.all_or_nothing = false});
    EXPECT_TRUE(partial.written);
    EXPECT_EQ(partial.rejected, 2u);
    EXPECT_TRUE(writer_.account(AccountAddress("kate@d.org")));
}

TEST_F(AccountImportTest, SaysWhyARowIsRefused) {
    import(kCsv);
    const std::pair<const char*, const char*> rows[] = {
        {"kate@d.org,,,,", "kate@d.org exists already"},
        {"k@d.org,,,,", "k@d.org is an alias"},
        {"x@d.org,sv9,,,", "domain d.org has no server sv9"},
        {"x@d.org,,,1x,", "quota is no number: 1x"},
        {"x@d.org,,,99999999999999T,", "quota is no number"},
        {"x@d.org,,A B,,", "an account id has"},
        {"x@d.org,,kate-1,,", "id kate-1 is in use"},
        {"x,,,,", "an address needs an @"},
        {"x y@d.org,,,,", "a character that an address may not hold"},
        {"x@d.org,,,,bob@d.org", "alias bob@d.org is an account"},
        {"x@d.org,,,,k@d.org", "alias k@d.org exists already"},
        {"x@d.org,,,,y@e.org", "alias y@e.org: no domain e.org"},
        {"x@d.org", "1 fields where the header has 5"},
    };
    for (const auto& [row, reason] : rows) {
        const ImportReport report =
            import("address,home,id,quota,aliases\n" + std::string(row) + "\n");
        ASSERT_EQ(report.rejected, 1u) << row;
        EXPECT_NE(report.rejected_rows[0].reason.find(reason), std::string::npos)
            << row << " gave: " << report.rejected_rows[0].reason;
    }
}

TEST_F(AccountImportTest, NoPlainPasswordIsEverStored) {
    import("address,password,keys\na@d.org,{PLAIN}one,\nb@d.org,{CLEARTEXT}two,\n");
    for (const auto& [address, password] : {std::pair{"a@d.org", "one"}, {"b@d.org", "two"}}) {
        const Fields keys = keys_of(writer_.account(AccountAddress(address))->id);
        ASSERT_EQ(keys.size(), 1u);
        EXPECT_TRUE(verify_password(keys[0], password).value_or(false));
    }
    EXPECT_EQ(import("address,keys\nc@d.org,{PLAIN}three\n").rejected, 1u);
}

TEST_F(AccountImportTest, FindsRowsThatSayTheSameTwice) {
    const ImportReport report =
        import("address,id,aliases\na@d.org,one,\nA@d.org,two,\nb@d.org,one,\nc@d.org,,a@d.org\n");
    ASSERT_EQ(report.rejected, 3u);
    EXPECT_EQ(report.rejected_rows[0].reason, "a@d.org stood in an earlier row");
    EXPECT_EQ(report.rejected_rows[1].reason, "id one stood in an earlier row");
    EXPECT_EQ(report.rejected_rows[2].line, 5u);
}

TEST_F(AccountImportTest, ImportingAgainKeepsIdsAndWhatTheRowDoesNotSay) {
    import(kCsv);
    const Account before = writer_.account(AccountAddress("ada@d.org")).value();
    const Fields keys = keys_of(before.id);
    const ImportReport report =
        import("address,quota\nada@d.org,7\nnew@d.org,\n", {.update_existing = true});
    EXPECT_EQ(report.updated, 1u);
    EXPECT_EQ(report.created, 1u);
    const Account after = writer_.account(AccountAddress("ada@d.org")).value();
    EXPECT_EQ(after.id, before.id);
    EXPECT_EQ(after.home, before.home);
    EXPECT_TRUE(after.disabled);
    EXPECT_EQ(after.quota, 7u);
    EXPECT_EQ(keys_of(after.id), keys);
    const ImportReport other = import("address,id\nada@d.org,other\n", {.update_existing = true});
    EXPECT_EQ(other.rejected, 1u);
}

TEST_F(AccountImportTest, TwoAccountsNeverGetOneId) {
    import("address,id\na@d.org,one\n");
    EXPECT_TRUE(store_->get(password_key(AccountId("one"))).value());
    EXPECT_EQ(import("address,id\nb@d.org,one\n").rejected, 1u);
    EXPECT_FALSE(writer_.create_account({.address = "c@d.org", .id = AccountId("one")}));
    // As earlier versions left it.
    ASSERT_TRUE(store_->commit(state::Transaction{}.remove(password_key(AccountId("one")))));
    const ImportReport report = import("address,id\nb@d.org,one\n");
    ASSERT_EQ(report.rejected, 1u);
    EXPECT_EQ(report.rejected_rows[0].reason, "id one is in use");
    EXPECT_EQ(import("address,id\nb@d.org,two\n").created, 1u);
}

/// Lets others work between the reading of the rows and the writing.
ByteReader then(std::string text, std::function<void()> others) {
    return [text = std::move(text),
            others = std::move(others)](std::span<char> buffer) mutable -> Result<std::size_t> {
        if (text.empty()) {
            if (auto run = std::exchange(others, nullptr)) run();
            return 0;
        }
        const std::size_t size = text.copy(buffer.data(), buffer.size());
        text.erase(0, size);
        return size;
    };
}

TEST_F(AccountImportTest, WhatOthersChangeMeanwhileStaysAsTheyMadeIt) {
    for (const bool partial : {true, false}) {
        for (const char* name : {"off", "gone", "new", "free", "pass", "still", "alias"}) {
            (void)writer_.delete_account(AccountAddress(std::string(name) + "@d.org"));
        }
        (void)writer_.delete_alias(AccountAddress("alias@d.org"));
        import("address,password\noff@d.org,x\ngone@d.org,x\npass@d.org,x\nstill@d.org,x\n");
        const std::string rows =
            "address,state,password\noff@d.org,active,y\ngone@d.org,active,y\n"
            "new@d.org,active,y\npass@d.org,,y\nalias@d.org,,y\nstill@d.org,disabled,y\n";
        const auto others = [&] {
            ASSERT_TRUE(writer_.change_account(AccountAddress("off@d.org"), {.disabled = true}));
            ASSERT_TRUE(writer_.delete_account(AccountAddress("gone@d.org")));
            ASSERT_TRUE(writer_.create_account({.address = "new@d.org", .id = AccountId("mine")}));
            ASSERT_TRUE(writer_.set_password(AccountAddress("pass@d.org"), "z"));
            ASSERT_TRUE(writer_.set_alias("alias@d.org", {"still@d.org"}));
        };
        const auto report = import_accounts(*store_, then(rows, others),
                                            {.all_or_nothing = !partial, .update_existing = true});
        ASSERT_TRUE(report) << report.error().detail;
        EXPECT_EQ(report->rejected, 5u);
        std::map<std::uint64_t, std::string> reasons;
        for (const auto& row : report->rejected_rows) reasons[row.line] = row.reason;
        EXPECT_EQ(reasons[2], "off@d.org was changed since the import began");
        EXPECT_EQ(reasons[3], "gone@d.org was changed since the import began");
        EXPECT_EQ(reasons[4], "new@d.org was changed since the import began");
        EXPECT_TRUE(reasons.contains(5) && reasons.contains(6));
        EXPECT_EQ(report->written, partial);
        EXPECT_EQ(report->updated, 1u);
        EXPECT_TRUE(writer_.account(AccountAddress("off@d.org"))->disabled);
        EXPECT_FALSE(writer_.account(AccountAddress("gone@d.org")));
        EXPECT_EQ(writer_.account(AccountAddress("new@d.org"))->id.text, "mine");
        const Account pass = writer_.account(AccountAddress("pass@d.org")).value();
        EXPECT_TRUE(verify_password(keys_of(pass.id)[0], "z").value());
        const Account still = writer_.account(AccountAddress("still@d.org")).value();
        EXPECT_EQ(still.disabled, partial);
        ASSERT_EQ(report->to_end.size(), partial ? 1u : 0u);
        if (partial) EXPECT_EQ(report->to_end[0].address.text, "still@d.org");
    }
}

TEST_F(AccountImportTest, ADomainThatGoesMeanwhileEndsTheImport) {
    const auto report =
        import_accounts(*store_,
                        then("address\na@d.org\n",
                             [&] { ASSERT_TRUE(writer_.delete_domain(DomainName("d.org"))); }),
                        {.all_or_nothing = false});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().kind, ErrorKind::Conflict);
    EXPECT_FALSE(store_->get("account/a@d.org").value());
}

TEST_F(AccountImportTest, SaysWhoseSessionsAreToBeEnded) {
    import("address,home,state\na@d.org,sv1,\nb@d.org,sv1,\nc@d.org,sv1,disabled\n");
    const ImportReport report =
        import("address,home,state,quota\na@d.org,sv2,,\nb@d.org,,disabled,\nc@d.org,,disabled,7\n",
               {.update_existing = true});
    ASSERT_EQ(report.to_end.size(), 2u);
    EXPECT_EQ(report.to_end[0].home.text, "sv1");
    EXPECT_EQ(report.to_end[1].address.text, "b@d.org");
}

TEST_F(AccountImportTest, ADryRunWritesNothing) {
    const ImportReport report = import(kCsv, {.dry_run = true});
    EXPECT_FALSE(report.written);
    EXPECT_EQ(report.created, 3u);
    EXPECT_FALSE(writer_.account(AccountAddress("kate@d.org")));
}

TEST_F(AccountImportTest, WhatIsExportedCanBeImportedElsewhere) {
    import(kCsv);
    ASSERT_TRUE(writer_.set_alias("all@d.org", {"kate@d.org", "bob@d.org"}));
    for (const AccountFormat format : {AccountFormat::Csv, AccountFormat::JsonLines}) {
        const std::string first = exported(format, true);
        EXPECT_NE(first.find("all@d.org"), std::string::npos);
        for (const char* name : {"kate", "ada", "bob"}) {
            ASSERT_TRUE(writer_.delete_account(AccountAddress(std::string(name) + "@d.org")));
        }
        const ImportReport report = import(first, {.format = format});
        EXPECT_TRUE(report.written) << first;
        EXPECT_EQ(exported(format, true), first);
    }
}

TEST_F(AccountImportTest, AnAliasForSeveralIsARowOfItsOwnInCsv) {
    const ImportReport report = import(
        "address,home,to\nkate@d.org,sv1,\nbob@d.org,sv1,\n"
        "all@d.org,,kate@d.org bob@d.org\nbad@d.org,sv1,kate@d.org\n",
        {.all_or_nothing = false});
    ASSERT_EQ(report.rejected_rows.size(), 1u);
    EXPECT_EQ(report.rejected_rows[0].line, 5u);
    EXPECT_NE(
        exported(AccountFormat::Csv, false).find("\r\nall@d.org,,,,,,,kate@d.org bob@d.org\r\n"),
        std::string::npos);
}

TEST_F(AccountImportTest, ExportKeepsKeysBackUnlessAsked) {
    import(kCsv);
    EXPECT_EQ(exported(AccountFormat::Csv, false).find('{'), std::string::npos);
    EXPECT_TRUE(exported(AccountFormat::Csv, false)
                    .starts_with("address,id,home,state,quota,epoch,aliases,to\r\nada@d.org,"));
}

TEST_F(AccountImportTest, AFileWithoutAHeaderIsRefusedAsAWhole) {
    for (const char* text : {"", "kate@d.org,sv1\n", "home\nsv1\n", "address,address\n"}) {
        const auto report = import_accounts(*store_, reader_of(text), {});
        ASSERT_FALSE(report) << text;
        EXPECT_EQ(report.error().kind, ErrorKind::Syntax);
    }
}

TEST_F(AccountImportTest, ABrokenFileWritesNothing) {
    int reads = 0;
    const ByteReader broken = [&](std::span<char> buffer) -> Result<std::size_t> {
        if (++reads > 1) return fail(ErrorKind::Io, "the disk is on fire");
        return kCsv.copy(buffer.data(), buffer.size());
    };
    EXPECT_FALSE(import_accounts(*store_, broken, {.all_or_nothing = false}));
    EXPECT_FALSE(writer_.account(AccountAddress("kate@d.org")));
}

TEST_F(AccountImportTest, ListsABoundedNumberOfRejectedRows) {
    std::string text = "address\n";
    for (std::size_t i = 0; i < kMaxRejectedListed + 10; ++i) text += "nobody\n";
    std::uint64_t told = 0;
    ImportOptions options;
    options.progress = [&](const ImportProgress& progress) { told = progress.rows; };
    const ImportReport report = import(text, options);
    EXPECT_EQ(report.rejected, kMaxRejectedListed + 10);
    EXPECT_EQ(report.rejected_rows.size(), kMaxRejectedListed);
}

TEST(AccountFormatName, IsCsvOrJsonl) {
    EXPECT_EQ(account_format_from("csv"), AccountFormat::Csv);
    EXPECT_EQ(account_format_from("jsonl"), AccountFormat::JsonLines);
    EXPECT_FALSE(account_format_from("xml"));
}

}  // namespace
}  // namespace muster::cluster
