package engine

import com.cloudbees.groovy.cps.impl.Caller
import groovy.transform.CompileStatic

/**
 * Serializable iterators and views in the place of Java's, so that `for (x in list) { sh … }` survives.
 *
 * A Groovy category that covers what Jenkins' own class of this name covers (workflow-cps): lists, sets, arrays and
 * deques, and the views of maps where CPS code asks for them. A `for` over a map itself is not covered, there as here.
 */
@CompileStatic
class IteratorHack {
    static class ListIteration<E> implements ListIterator<E>, Serializable {
        private final List<E> list
        private int cursor
        private int last = -1

        ListIteration(List<E> list, int start = 0) {
            this.list = list
            this.cursor = start
        }

        boolean hasNext() { cursor < list.size() }

        boolean hasPrevious() { cursor > 0 }

        int nextIndex() { cursor }

        int previousIndex() { cursor - 1 }

        E next() {
            if (!hasNext()) {
                throw new NoSuchElementException()
            }
            last = cursor++
            return list.get(last)
        }

        E previous() {
            if (!hasPrevious()) {
                throw new NoSuchElementException()
            }
            last = --cursor
            return list.get(last)
        }

        void remove() {
            if (last < 0) {
                throw new IllegalStateException()
            }
            list.remove(last)
            cursor -= last < cursor ? 1 : 0
            last = -1
        }

        void set(E element) { list.set(last, element) }

        void add(E element) {
            list.add(cursor++, element)
            last = -1
        }
    }

    static <E> Iterator<E> iterator(List<E> list) { new ListIteration<E>(list) }

    static <E> Iterator<E> iterator(Set<E> set) { new ListIteration<E>(new ArrayList<E>(set)) }

    static <E> Iterator<E> iterator(E[] array) { new ListIteration<E>(Arrays.asList(array)) }

    static <E> Iterator<E> iterator(Deque<E> deque) { new ListIteration<E>(new ArrayList<E>(deque)) }

    static <E> ListIterator<E> listIterator(List<E> list) {
        return inCps(list, 'listIterator') ? new ListIteration<E>(list) : list.listIterator()
    }

    static <E> ListIterator<E> listIterator(List<E> list, int start) {
        return inCps(list, 'listIterator', start) ? new ListIteration<E>(list, start) : list.listIterator(start)
    }

    static <K, V> Set<Map.Entry<K, V>> entrySet(Map<K, V> map) {
        if (!inCps(map, 'entrySet')) {
            return map.entrySet()
        }
        Set<Map.Entry<K, V>> entries = new LinkedHashSet<Map.Entry<K, V>>()
        for (Map.Entry<K, V> entry : map.entrySet()) {
            entries.add(new AbstractMap.SimpleImmutableEntry<K, V>(entry))
        }
        return entries
    }

    static <K, V> Set<Map.Entry<K, V>> entrySet(SortedMap<K, V> map) { entrySet((Map<K, V>) map) }

    static <K> Set<K> keySet(Map<K, ?> map) {
        return inCps(map, 'keySet') ? new LinkedHashSet<K>(map.keySet()) : map.keySet()
    }

    static <K> Set<K> keySet(SortedMap<K, ?> map) { keySet((Map<K, ?>) map) }

    static <V> Collection<V> values(Map<?, V> map) {
        return inCps(map, 'values') ? new ArrayList<V>(map.values()) : map.values()
    }

    static <V> Collection<V> values(SortedMap<?, V> map) { values((Map<?, V>) map) }

    /** Whether CPS code calls, by itself or through this category. */
    private static boolean inCps(Object receiver, String method, Object... args) {
        Object[] withReceiver = new Object[args.length + 1]
        withReceiver[0] = receiver
        System.arraycopy(args, 0, withReceiver, 1, args.length)
        return Caller.isAsynchronous(receiver, method, args) || Caller.isAsynchronous(IteratorHack, method, withReceiver)
    }
}
