"""No message is lost, and none comes twice but as documented, while what carries mail is killed.
The same for as long as wished: `./dev soak mail`."""
import contextlib
import os
import unittest

import harness
from mail_trial import Trial

KILLS = 8


class Faults(unittest.TestCase):
    def test_mail_at_full_speed_while_all_parts_are_killed(self):
        seed = int(os.environ.get("MUSTER_SEED", 20))
        with contextlib.closing(harness.Demo()) as demo:
            trial = Trial(demo, seed)
            found = trial.run(kills=KILLS)
            print(f"seed {seed}: {trial.summary()}")
        self.assertEqual(found, [])
        # It would prove nothing if these had not come.
        for what in ("messages answered 250", "messages unanswered", "messages answered 554",
                     "messages answered 552", "messages never ended", "kills of a front end",
                     "kills of a Dovecot", "kills of the master"):
            self.assertGreater(trial.counts[what], 0, what)


if __name__ == "__main__":
    unittest.main()
