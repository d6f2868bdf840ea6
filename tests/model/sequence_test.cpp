// Pages of keys and values: taken as needed, given back behind windows, cut and reused.
#include "model/sequence.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lamina::model {
namespace {

// Two layers of attention, the second with a window; with `recurrent` a third without pages.
ModelSpec Spec(bool recurrent) {
  ModelSpec spec;
  spec.d_model = 64;
  spec.conv_kernel = 3;
  LayerSpec layer;
  layer.n_heads = 4;
  layer.n_kv_heads = 2;
  layer.d_head = layer.d_value = 16;
  spec.layers.push_back(layer);
  layer.window = 100;
  spec.layers.push_back(layer);
  if (recurrent) {
    layer.mixer = Mixer::kShortConv;
    spec.layers.push_back(layer);
  }
  return spec;
}

class SequenceTest : public testing::Test {
 protected:
  void Make(const ModelSpec& spec, int64_t context) {
    sequence_.reset();
    pools_.clear();
    layout_ = LayOutSequences(spec, kernels::KvType::kF16, context, &pools_);
    sequence_ = std::make_unique<SequenceState>(nullptr, &layout_);
  }
  void Append(int64_t n) {
    ASSERT_TRUE(sequence_->CheckRoom(n));
    ASSERT_TRUE(sequence_->Reserve(n));
    sequence_->Commit(n);
  }
  bool HasPage(int layer, int64_t page) {
    return sequence_->k_pages(layer, 1)[page] != nullptr &&
           sequence_->v_pages(layer, 0)[page] != nullptr;
  }

  std::vector<std::unique_ptr<PagePool>> pools_;
  SequenceLayout layout_;
  std::unique_ptr<SequenceState> sequence_;
};

TEST_F(SequenceTest, AWindowKeepsOnlyItsPages) {
  Make(Spec(false), 1000);
  Append(300);
  Append(340);
  for (int64_t page = 0; page < 10; ++page) EXPECT_TRUE(HasPage(0, page)) << page;
  EXPECT_FALSE(HasPage(0, 10));
  // The next token, 640, sees 541 on; 64 more are kept for taking back.
  for (int64_t page = 0; page < 10; ++page) EXPECT_EQ(HasPage(1, page), page >= 7) << page;
  EXPECT_EQ(sequence_->n_tokens(), 640);
}

TEST_F(SequenceTest, HeadsOfAPageDoNotOverlap) {
  Make(Spec(false), 100);
  Append(1);
  const auto* k0 = static_cast<const uint8_t*>(sequence_->k_pages(0, 0)[0]);
  const auto* k1 = static_cast<const uint8_t*>(sequence_->k_pages(0, 1)[0]);
  const auto* v0 = static_cast<const uint8_t*>(sequence_->v_pages(0, 0)[0]);
  const auto* v1 = static_cast<const uint8_t*>(sequence_->v_pages(0, 1)[0]);
  EXPECT_EQ(k1 - k0, kPageTokens * 16 * 2);
  EXPECT_EQ(v0 - k1, kPageTokens * 16 * 2);
  EXPECT_EQ(v1 - v0, kPageTokens * 16 * 2);
}

TEST_F(SequenceTest, TruncateWithinTheWindowAndNotBeyond) {
  Make(Spec(false), 1000);
  Append(640);
  EXPECT_TRUE(sequence_->Truncate(600));
  EXPECT_EQ(sequence_->n_tokens(), 600);
  const auto refused = sequence_->Truncate(300);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(sequence_->n_tokens(), 600);
  EXPECT_TRUE(sequence_->Truncate(0));
  EXPECT_EQ(sequence_->n_tokens(), 0);
  EXPECT_FALSE(HasPage(0, 0));
  Append(640);
  EXPECT_TRUE(HasPage(0, 9));
}

TEST_F(SequenceTest, RecurrentStateCannotGoBack) {
  Make(Spec(true), 1000);
  Append(10);
  sequence_->recurrent(2)[0] = 1;
  const auto refused = sequence_->Truncate(5);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
  // A step that failed before it touched the state leaves it; one broken off in the middle cannot.
  sequence_->RollBack(10);
  EXPECT_EQ(sequence_->n_tokens(), 10);
  EXPECT_EQ(sequence_->recurrent(2)[0], 1);
  sequence_->MarkDirty();
  sequence_->RollBack(10);
  EXPECT_EQ(sequence_->n_tokens(), 0);
  EXPECT_EQ(sequence_->recurrent(2)[0], 0);
}

TEST_F(SequenceTest, AFullContextNamesItsLimit) {
  Make(Spec(false), 100);
  Append(90);
  const auto refused = sequence_->CheckRoom(11);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kOutOfRange);
  EXPECT_NE(refused.error().message().find("100"), std::string::npos);
  EXPECT_TRUE(sequence_->CheckRoom(10));
}

TEST_F(SequenceTest, LongFactorsAreAnnounced) {
  ModelSpec spec = Spec(false);
  RopeSpec rope;
  rope.n_rot = 16;
  rope.original_context = 32;
  rope.long_divisors.assign(8, 2.0f);
  spec.ropes.push_back(rope);
  Make(spec, 100);
  EXPECT_FALSE(sequence_->Announce(40));  // Empty: nothing is lost.
  EXPECT_TRUE(sequence_->long_factors());
  EXPECT_FALSE(sequence_->Announce(20));
  Append(20);
  EXPECT_FALSE(sequence_->Announce(32));
  EXPECT_EQ(sequence_->CheckRoom(13).status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(sequence_->Announce(33));
  EXPECT_EQ(sequence_->n_tokens(), 0);
  Append(33);
  EXPECT_TRUE(sequence_->long_factors());
  sequence_->Clear();
  EXPECT_FALSE(sequence_->long_factors());
  Append(40);  // An empty sequence takes the factors that its first rows need.
  EXPECT_TRUE(sequence_->long_factors());
}

TEST_F(SequenceTest, EstimatedBytesCoverPages) {
  const ModelSpec spec = Spec(true);
  Make(spec, 1000);
  Append(340);
  // Pages are rounded up to the system's; here they fit exactly.
  const auto estimate = [&](int64_t n_tokens, int64_t n_step) {
    return static_cast<uint64_t>(SequenceBytes(spec, kernels::KvType::kF16, n_tokens, n_step));
  };
  EXPECT_EQ(sequence_->bytes(), estimate(340, 0));
  ASSERT_TRUE(sequence_->Reserve(300));
  EXPECT_EQ(sequence_->bytes(), estimate(640, 300));
  sequence_->Commit(300);
  EXPECT_EQ(sequence_->bytes(), estimate(640, 0));
}

TEST(PagePoolTest, PagesAreReusedAndDistinct) {
  PagePool pool(5000, 8192);
  EXPECT_EQ(pool.page_bytes(), 8192);
  std::vector<uint8_t*> pages;
  for (int i = 0; i < 2048; ++i) {
    pages.push_back(pool.Take());
    ASSERT_NE(pages.back(), nullptr);
    pages.back()[0] = pages.back()[8191] = static_cast<uint8_t>(i);
  }
  for (int i = 0; i < 2048; ++i) ASSERT_EQ(pages[i][0], static_cast<uint8_t>(i));
  for (uint8_t* page : pages) pool.Give(page);
  std::sort(pages.begin(), pages.end());
  for (int i = 0; i < 2048; ++i) {
    ASSERT_TRUE(std::binary_search(pages.begin(), pages.end(), pool.Take())) << i;
  }
}

}  // namespace
}  // namespace lamina::model
