#include "tests/diff/model.h"

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* "... choosing v from the set { ROC-1, ROC, ROC+1 } such that |i - (2^16 * ROC + s_l)| is smallest"; of two at the same
 * distance ROC itself, as in Appendix A. */
uint64_t
model_estimate(const struct model *m, uint16_t seq)
{
	uint64_t roc = m->started ? m->highest >> 16 : m->roc_first, best = roc << 16 | seq;

	if (!m->started)
		return best;
	for (uint64_t v = roc == 0 ? 0 : roc - 1; v <= roc + 1; v++)
		if (distance(v << 16 | seq, m->highest) < distance(best, m->highest))
			best = v << 16 | seq;
	return best;
}

bool
model_accepted(const struct model *m, uint64_t index)
{
	return m->accepted[index % MODEL_KEPT] == index + 1;
}

enum unprotect_result
model_receive(struct model *m, uint64_t index, bool authentic)
{
	if (!authentic)
		return UNPROTECT_BAD_TAG;
	if (m->started && index + MODEL_WINDOW <= m->highest)
		return UNPROTECT_TOO_OLD;
	if (model_accepted(m, index))
		return UNPROTECT_REPLAYED;
	m->accepted[index % MODEL_KEPT] = index + 1;
	if (!m->started || index > m->highest)
		m->highest = index;
	m->started = true;
	return UNPROTECT_OK;
}
