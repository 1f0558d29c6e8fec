// The chess exhibition that explains asynchrony.
//
// One master plays 24 opponents, 30 pairs of moves each. She needs 5 seconds for a move, an
// opponent
// 55. So a game takes 30 minutes, and game after game the exhibition takes 12 hours. But of those
// 30 minutes the master works only two and a half: if she goes to another board while an opponent
// thinks, she is done in about one hour, and has not moved any faster.
//
//   exhibition [SECONDS]     how long an hour takes here; 1 unless told
//
// Each board is a fiber. The code of a game is the same in both exhibitions, and reads as if it
// were alone in the world; what differs is only whether all games are joined at the end, or each at
// once.
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Hours = std::chrono::duration<double, std::ratio<3600>>;

constexpr int kBoards = 24;
constexpr int kPairsOfMoves = 30;
constexpr auto kMasterThinks = 5s;
constexpr auto kOpponentThinks = 55s;

class Exhibition {
 public:
  explicit Exhibition(double seconds_per_hour) : scale_(seconds_per_hour / 3600) {}

  void play(int board) {
    for (int move = 1; move <= kPairsOfMoves; ++move) {
      {
        std::lock_guard at_this_board(master_);  // There is only one of her.
        think(kMasterThinks);
      }
      think(kOpponentThinks);
      if (board == 1 && move % 10 == 0) say("board  1: move %d\n", move);
    }
    say("board %2d: the game is over\n", board);
  }

  template <class... Arguments>
  void say(const char* format, Arguments... arguments) {
    const int minutes = static_cast<int>(elapsed().count() * 60 + 0.5);
    std::printf("%2d:%02d  ", minutes / 60, minutes % 60);
    std::printf(format, arguments...);
    std::fflush(stdout);
  }

  // On the clock of the exhibition.
  [[nodiscard]] Hours elapsed() const {
    return Hours(std::chrono::duration<double>(Clock::now() - begin_) / scale_);
  }

 private:
  void think(std::chrono::seconds time) {
    ramie::sleep_for(std::chrono::duration<double>(time) * scale_);
  }

  const double scale_;
  const Clock::time_point begin_ = Clock::now();
  ramie::mutex master_;
};

Hours one_after_the_other(double scale) {
  Exhibition exhibition(scale);
  for (int board = 1; board <= kBoards; ++board) {
    ramie::spawn([&, board] { exhibition.play(board); }).join();
  }
  return exhibition.elapsed();
}

Hours from_board_to_board(double scale) {
  Exhibition exhibition(scale);
  std::vector<ramie::fiber<void>> games;
  for (int board = 1; board <= kBoards; ++board) {
    games.push_back(ramie::spawn([&, board] { exhibition.play(board); }));
  }
  for (auto& game : games) game.join();
  return exhibition.elapsed();
}

}  // namespace

int main(int argc, char** argv) try {
  const double scale = argc > 1 ? std::atof(argv[1]) : 1;
  if (scale <= 0) {
    std::fprintf(stderr, "usage: exhibition [SECONDS], more than 0\n");
    return 2;
  }
  std::printf("From board to board, as fibers:\n");
  const Hours together = from_board_to_board(scale);
  std::printf("\nOne after the other, which takes %.0f seconds:\n", 12 * scale);
  const Hours in_turn = one_after_the_other(scale);
  std::printf("\nFrom board to board %.1f hours, one after the other %.1f hours.\n",
              together.count(), in_turn.count());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "exhibition: %s\n", error.what());
  return 1;
}
