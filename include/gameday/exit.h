/* Exit codes of every gameday command: a contract with scripts and CI. */
#ifndef GAMEDAY_EXIT_H
#define GAMEDAY_EXIT_H

enum exit_code {
  EXIT_MET = 0,         /* objectives met; the command did what was asked */
  EXIT_MISSED = 1,      /* an objective was missed, or data was corrupted */
  EXIT_BAD_USAGE = 2,   /* wrong arguments, or mistakes in a scenario */
  EXIT_ENVIRONMENT = 3, /* this machine or cluster cannot do it: says what is missing */
  EXIT_UNTRUSTED = 4,   /* untrustworthy or inconclusive: neither met nor missed is proven */
  EXIT_INTERNAL = 5,    /* a bug in gameday, or out of memory */
  EXIT_SIGHUP = 129,    /* the terminal was closed; as an interrupt */
  EXIT_SIGINT = 130,    /* interrupted; everything was healed and removed first */
  EXIT_SIGTERM = 143,
};

#endif
