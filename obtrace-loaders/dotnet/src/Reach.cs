using System;
using System.Collections.Concurrent;
using System.Reflection;

namespace Obtrace.Zero
{
    /// <summary>Properties of objects whose types are not ours to refer to. What is not there is null. Types of an AssemblyLoadContext that can be
    /// unloaded are not remembered: that would keep it.</summary>
    internal static class Reach
    {
        private const int MostTypes = 2000;
        private const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

        /// <summary>By the property's name, then by the type. References as keys, both of them: for a structure the runtime would compile the
        /// dictionary anew in every process.</summary>
        private static readonly ConcurrentDictionary<string, ConcurrentDictionary<Type, Func<object, object>>> Getters
            = new ConcurrentDictionary<string, ConcurrentDictionary<Type, Func<object, object>>>();

        /// <summary>The same by the interface's name.</summary>
        private static readonly ConcurrentDictionary<string, ConcurrentDictionary<Type, Func<object, string, object>>> Indexers
            = new ConcurrentDictionary<string, ConcurrentDictionary<Type, Func<object, string, object>>>();

        private static readonly Func<Type, string, Func<object, object>> Getter = Make;
        private static readonly Func<Type, string, Func<object, string, object>> Indexer = MakeIndexer;

        /// <summary>What was made for a name and a type, or is made now. The names are this assembly's own: few.</summary>
        private static G Of<G>(ConcurrentDictionary<string, ConcurrentDictionary<Type, G>> all, string name, Type type, Func<Type, string, G> make) where G : class
        {
            ConcurrentDictionary<Type, G> types;
            if (!all.TryGetValue(name, out types))
            {
                types = all.GetOrAdd(name, new ConcurrentDictionary<Type, G>());
            }
            G made;
            if (!types.TryGetValue(type, out made))
            {
                made = make(type, name);
                if (!type.IsCollectible && types.Count < MostTypes)
                {
                    types.TryAdd(type, made);
                }
            }
            return made;
        }

        public static object Get(object target, string name)
        {
            return target == null ? null : Of(Getters, name, target.GetType(), Getter)(target);
        }

        public static object Get(object target, string first, string second)
        {
            return Get(Get(target, first), second);
        }

        public static string Text(object target, string name)
        {
            object value = Get(target, name);
            return value == null ? null : value.ToString();
        }

        /// <summary>The indexer by strings of an interface that the target has.</summary>
        public static object Item(object target, string interfaceName, string index)
        {
            return target == null ? null : Of(Indexers, interfaceName, target.GetType(), Indexer)(target, index);
        }

        private static Func<object, string, object> MakeIndexer(Type type, string interfaceName)
        {
            Type found = Array.Find(type.GetInterfaces(), it => it.FullName == interfaceName);
            PropertyInfo property = found?.GetProperty("Item", new[] { typeof(string) });
            if (property == null)
            {
                return (it, at) => null;
            }
            return ((IMaker)Activator.CreateInstance(typeof(Maker<,>).MakeGenericType(found, property.PropertyType))).MakeIndexer(property.GetMethod);
        }

        /// <summary>A property by its name, the most derived one: `new` hides what is below.</summary>
        private static Func<object, object> Make(Type type, string name)
        {
            for (Type at = type; at != null; at = at.BaseType)
            {
                PropertyInfo property = at.GetProperty(name, Own);
                if (property != null && property.GetMethod != null && property.GetIndexParameters().Length == 0)
                {
                    return At(at, property);
                }
            }
            return target => null;
        }

        private static Func<object, object> At(Type type, PropertyInfo property)
        {
            if (!type.IsValueType && !type.IsCollectible)
            {
                try
                {
                    Type maker = typeof(Maker<,>).MakeGenericType(type, property.PropertyType);
                    return ((IMaker)Activator.CreateInstance(maker)).Make(property.GetMethod);
                }
                catch (Exception)
                {
                    // A type that cannot be an argument: the slow way below.
                }
            }
            return target => property.GetValue(target);
        }

        private interface IMaker
        {
            Func<object, object> Make(MethodInfo getter);

            Func<object, string, object> MakeIndexer(MethodInfo getter);
        }

        private sealed class Maker<T, V> : IMaker where T : class
        {
            public Func<object, object> Make(MethodInfo getter)
            {
                var typed = (Func<T, V>)Delegate.CreateDelegate(typeof(Func<T, V>), getter);
                return target => typed((T)target);
            }

            public Func<object, string, object> MakeIndexer(MethodInfo getter)
            {
                var typed = (Func<T, string, V>)Delegate.CreateDelegate(typeof(Func<T, string, V>), getter);
                return (target, index) => typed((T)target, index);
            }
        }
    }
}
