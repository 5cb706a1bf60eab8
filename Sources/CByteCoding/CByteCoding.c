#include "CByteCoding.h"
